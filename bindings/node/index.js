// A backend of onnxruntime-common named "hybrid": sessions in which the operator library is registered.
'use strict';

const { existsSync } = require('node:fs');
const { dirname, join } = require('node:path');
const { fileURLToPath } = require('node:url');
const { InferenceSession, registerBackend, Tensor } = require('onnxruntime-common');
const { HybridError, failure, mistake } = require('./failures.js');
const { settings } = require('./options.js');
const { described, received, sent } = require('./tensors.js');

let native;
let library;
let loaded;

/**
 * Register the backend, under the name "hybrid".
 *
 * `runtime` is ONNX Runtime's shared library, that of onnxruntime-node where it is not given; `library` the operator
 * library (`oh.library_path()` in Python), ONNXHYBRID_LIBRARY where it is not given.
 */
function register({ runtime = process.env.ONNXHYBRID_ONNXRUNTIME ?? shipped(), library: own = process.env.ONNXHYBRID_LIBRARY } = {}) {
  if (typeof own !== 'string' || !existsSync(own)) {
    throw mistake(`the operator library ${own === undefined ? 'is not named: give register({ library }), or set ONNXHYBRID_LIBRARY' : `${String(own)} is not there`}`);
  }
  if (typeof runtime !== 'string') {
    throw mistake('no ONNX Runtime is named, and onnxruntime-node is not installed: give register({ runtime })');
  }
  if (loaded !== undefined && loaded !== runtime) throw mistake(`the process has ONNX Runtime of ${loaded}, and takes no second one`);
  native ??= require('./onnxhybrid.node');
  try {
    native.load(runtime);
  } catch (problem) {
    throw failure(problem);
  }
  [loaded, library] = [runtime, own];
  registerBackend('hybrid', backend, -1); // asked for by name alone
}

/** The shared library that onnxruntime-node brings for this platform; undefined where there is none. */
function shipped() {
  let folder;
  try {
    folder = join(dirname(require.resolve('onnxruntime-node/package.json')), 'bin');
  } catch {
    return undefined;
  }
  const names = { win32: ['onnxruntime.dll'], darwin: ['libonnxruntime.dylib', 'libonnxruntime.1.dylib'] }[process.platform] ?? ['libonnxruntime.so.1'];
  const places = ['napi-v6', 'napi-v3'].flatMap((abi) => names.map((name) => join(folder, abi, process.platform, process.arch, name)));
  return places.find((place) => existsSync(place));
}

const backend = {
  async init() {},

  async createInferenceSessionHandler(model, options) {
    if (typeof model !== 'string' && !(model instanceof Uint8Array)) throw mistake('a model is a path or a Uint8Array');
    const source = typeof model === 'string' && model.startsWith('file://') ? fileURLToPath(model) : model;
    try {
      return new Handler(await native.open({ model: source, library, ...settings(options) }));
    } catch (problem) {
      throw problem instanceof TypeError ? problem : failure(problem);
    }
  },
};

class Handler {
  #session;
  #elements;

  constructor(session) {
    const [inputs, optional, outputs] = [session.inputs(), session.optional(), session.outputs()];
    this.#session = session;
    this.#elements = new Map([...inputs, ...optional].map(({ name, element }) => [name, element]));
    this.inputMetadata = inputs.map(described);
    this.outputMetadata = outputs.map(described);
    this.inputNames = inputs.map(({ name }) => name);
    this.outputNames = outputs.map(({ name }) => name);
  }

  async run(feeds, fetches) {
    if (this.#session === undefined) throw mistake('the session is disposed', 'ERR_INVALID_STATE');
    const given = Object.entries(feeds).filter(([, value]) => value !== undefined).map(([name, value]) => this.#sent(name, value));
    for (const [name, value] of Object.entries(fetches)) {
      if (value !== null) throw mistake(`the output ${JSON.stringify(name)} was given a tensor; the backend hybrid makes its own`);
    }
    try {
      return Object.fromEntries((await this.#session.run(given, Object.keys(fetches))).map(received));
    } catch (problem) {
      throw problem instanceof TypeError ? problem : failure(problem);
    }
  }

  #sent(name, value) {
    if (!this.#elements.has(name)) {
      throw mistake(`the model has no input ${JSON.stringify(name)}; it has ${[...this.#elements.keys()].map((known) => JSON.stringify(known)).join(', ')}`);
    }
    return sent(name, value, this.#elements.get(name));
  }

  async dispose() {
    this.#session?.dispose();
    this.#session = undefined;
  }

  startProfiling() {
    throw mistake('the backend hybrid has no profiling');
  }

  endProfiling() {
    throw mistake('the backend hybrid has no profiling');
  }
}

module.exports = { HybridError, InferenceSession, Tensor, register };
