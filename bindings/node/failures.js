// What the runtime and the operator library say, as Errors.
'use strict';

/** A failure of a remote call, or of the runtime. */
class HybridError extends Error {
  constructor(message, details) {
    super(message);
    this.name = 'HybridError';
    Object.assign(this, details);
  }
}

/** The error that a message of the runtime is: the library's begins with its code, and ends in its details as JSON. */
function failure(problem) {
  const text = String(problem?.message ?? problem);
  const found = /\[(OH\d{3})\]\s*([^]*)/.exec(text);
  if (!found) return new HybridError(text, { code: 'ERR_ONNXRUNTIME' });
  const [message, details] = parted(found[2]);
  const { node, endpoint, status, attempts } = details;
  return new HybridError(`[${found[1]}] ${message}`, { code: found[1], node, endpoint, status, attempts });
}

function parted(text) {
  for (let start = text.indexOf(' {"'); start >= 0; start = text.indexOf(' {"', start + 1)) {
    const end = text.lastIndexOf('}') + 1;
    try {
      return [text.slice(0, start), JSON.parse(text.slice(start, end))];
    } catch {
      // a brace of the message itself
    }
  }
  return [text.trimEnd(), {}];
}

/** What a caller did wrong, told before the runtime is asked. */
function mistake(message, code = 'ERR_INVALID_ARG_VALUE') {
  return Object.assign(new TypeError(message), { code });
}

module.exports = { HybridError, failure, mistake };
