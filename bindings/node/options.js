// Options of a session as onnxruntime-common has them, as the addon takes them.
'use strict';

const { mistake } = require('./failures.js');

const LEVELS = { disabled: 0, basic: 1, extended: 2, layout: 3, all: 3 };
const TAKEN = ['executionProviders', 'extra', 'graphOptimizationLevel', 'intraOpNumThreads', 'interOpNumThreads', 'executionMode', 'logSeverityLevel'];
const SESSION = 'onnxhybrid.session';

/** The settings of a session. */
function settings(options = {}) {
  const other = Object.keys(options).filter((name) => !TAKEN.includes(name) && options[name] !== undefined);
  if (other.length) throw mistake(`the backend hybrid does not take the option ${other[0]}; it takes ${TAKEN.join(', ')}`);
  const { graphOptimizationLevel: level, executionMode: mode = 'sequential', logSeverityLevel: severity = 4 } = options;
  if (level !== undefined && !Object.hasOwn(LEVELS, level)) throw mistake(`graphOptimizationLevel is ${shown(level)}, none of ${Object.keys(LEVELS).join(', ')}`);
  if (!['sequential', 'parallel'].includes(mode)) throw mistake(`executionMode is ${shown(mode)}, neither "sequential" nor "parallel"`);
  return {
    entries: entries(options.extra),
    optimization: level === undefined ? undefined : LEVELS[level],
    intraThreads: count('intraOpNumThreads', options.intraOpNumThreads),
    interThreads: count('interOpNumThreads', options.interOpNumThreads),
    parallel: mode === 'parallel',
    severity: count('logSeverityLevel', severity, 4),
  };
}

function count(name, value, most = 1024) {
  if (value === undefined || (Number.isInteger(value) && value >= 0 && value <= most)) return value;
  throw mistake(`${name} is ${shown(value)}, not from 0 to ${most}`);
}

/** `{ session: { "use_env": "1" } }` is the entry `session.use_env`, as in onnxruntime-node; ours may be an object. */
function entries(extra) {
  if (extra === undefined) return [];
  if (extra === null || typeof extra !== 'object') throw mistake(`extra is ${shown(extra)}, and was to be an object`);
  return [...flat(extra, '')];
}

function* flat(extra, prefix) {
  for (const [key, value] of Object.entries(extra)) {
    const name = `${prefix}${key}`;
    if (name === SESSION && value !== null && typeof value === 'object') yield [name, JSON.stringify(value)];
    else if (['string', 'number', 'boolean'].includes(typeof value)) yield [name, String(value)];
    else if (value !== null && typeof value === 'object' && !Array.isArray(value)) yield* flat(value, `${name}.`);
    else throw mistake(`extra has the entry ${name}, which is neither a text nor an object`);
  }
}

function shown(value) {
  return typeof value === 'bigint' || typeof value === 'symbol' ? String(value) : JSON.stringify(value);
}

module.exports = { settings };
