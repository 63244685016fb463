// What the Node package does beside running what it should; prints what it found as JSON.
//
//     node behaviour.mjs PACKAGE LIBRARY WHAT MODEL [URL]
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

const [, , home, library, what, model, url] = process.argv;
const { InferenceSession, Tensor, register } = createRequire(join(home, 'index.js'))(home);
const create = (path, options = {}) => InferenceSession.create(path, { executionProviders: ['hybrid'], ...options });
const x = () => new Tensor('float32', [1, 2, 3, 4, 5, 6], [2, 3]);
const values = ({ y }) => [...y.data];

async function told(attempt) {
  try {
    return { value: await attempt() };
  } catch (problem) {
    const { name, code, message, node, status, attempts } = problem;
    return { isError: problem instanceof Error, name, code, message, node, status, attempts };
  }
}

/** A tensor whose parts were changed behind onnxruntime-common's back. */
function forged(changes) {
  const parts = { type: 'float32', dims: [2, 3], data: new Float32Array(6), location: 'cpu', ...changes };
  return Object.create(Tensor.prototype, Object.fromEntries(Object.entries(parts).map(([name, value]) => [name, { value }])));
}

const WRONG = {
  'another type': new Tensor('int64', [1n], [1, 1]),
  'texts': new Tensor('string', ['a', 'b', 'c'], [1, 3]),
  'another rank': new Tensor('float32', [1], [1]),
  'another fixed size': new Tensor('float32', [1, 2], [1, 2]),
  'no tensor': 3,
  'nothing': null,
  'an array': [[1, 2, 3]],
  'a typed array': new Float32Array(3),
  'a plain object': { x: 1 },
  'an unknown type': forged({ type: 'complex64' }),
  'a name of every object': forged({ type: 'constructor' }),
  'too few elements': forged({ data: new Float32Array(2) }),
  'too many elements': forged({ data: new Float32Array(9) }),
  'another array': forged({ data: new Float64Array(6) }),
  'no array': forged({ data: 'abcdef' }),
  'no elements': forged({ data: undefined }),
  'a negative size': forged({ dims: [-2, -3] }),
  'half a size': forged({ dims: [0.5, 12] }),
  'a huge size': forged({ dims: [2 ** 40, 2 ** 40] }),
  'a size that is none': forged({ dims: [NaN, 3] }),
  'sizes that are none': forged({ dims: 'ab' }),
  'another place': forged({ location: 'gpu-buffer' }),
};

const DO = {
  async wrong() {
    const session = await create(model);
    const found = {};
    for (const [name, value] of Object.entries(WRONG)) found[name] = await told(() => session.run({ x: value }));
    found['an unknown input'] = await told(() => session.run({ x: x(), z: x() }));
    found['no input'] = await told(() => session.run({}));
    found['an output of its own'] = await told(() => session.run({ x: x() }, { y: x() }));
    return { found, after: values(await session.run({ x: x() })) };
  },
  async texts() {
    const session = await create(model);
    const echo = async (texts) => (await session.run({ x: new Tensor('string', texts, [texts.length]) })).y.data;
    const hole = [];
    hole.length = 1;
    return {
      kept: await echo(['grüß', '', 'a\0b', '日本', '\u{1f600}']),
      surrogate: await told(() => echo(['\ud800'])),
      number: await told(() => session.run({ x: forged({ type: 'string', dims: [1], data: [7] }) })),
      hole: await told(() => session.run({ x: forged({ type: 'string', dims: [1], data: hole }) })),
    };
  },
  async options() {
    const given = {
      'a number in place of a model': () => create(7),
      'no file': () => create('/nowhere.onnx'),
      'no model': () => create(new Uint8Array([1, 2, 3])),
      'an unknown option': () => create(model, { profilePrefix: 'p' }),
      'an unknown level': () => create(model, { graphOptimizationLevel: 'toString' }),
      'threads of the wrong kind': () => create(model, { intraOpNumThreads: 1.5 }),
      'extra that is none': () => create(model, { extra: 3 }),
      'an entry that is none': () => create(model, { extra: { a: [] } }),
      'a NUL in an entry': () => create(model, { extra: { 'a\0': 'b' } }),
      'a session of other fields': () => create(model, { extra: { 'onnxhybrid.session': { nonsense: 1 } } }),
      'another runtime': () => register({ library, runtime: '/nowhere.so' }),
      'no library': () => register({ library: '/nowhere.so' }),
    };
    const found = {};
    for (const [name, attempt] of Object.entries(given)) found[name] = await told(attempt);
    const opened = await create(readFileSync(model), { graphOptimizationLevel: 'basic', intraOpNumThreads: 1, executionMode: 'parallel' });
    return { found, after: values(await opened.run({ x: x() })) };
  },
  async aside() {
    const session = await create(model);
    const runs = [1, 2, 3].map(() => session.run({ x: x() }));
    await (await fetch(`${url}/all-came`)).text(); // answered once three requests are there: nobody waits for another
    await session.release(); // under way, and they end as they would have
    return { runs: (await Promise.all(runs)).map(values), released: await told(() => session.run({ x: x() })) };
  },
  async worker() {
    const worker = new Worker(new URL(import.meta.url), { argv: [home, library, 'called', model, url] });
    const ended = once(worker, 'exit');
    await (await fetch(`${url}/called`)).text(); // answered once its calls are under way
    await worker.terminate();
    await ended;
    await (await fetch(`${url}/terminated`)).text(); // they are answered now
    const session = await create(model);
    let last;
    for (let count = 0; count < 20; count++) last = values(await session.run({ x: x() }));
    return { after: last };
  },
  async called() {
    const session = await create(model);
    return Promise.all([1, 2, 3].map(() => session.run({ x: x() })));
  },
  async threshold() {
    const session = await create(model);
    const run = async (feeds) => values(await session.run({ x: x(), ...feeds }, ['y']));
    const threshold = (value) => ({ threshold: new Tensor('float32', [value], [1]) });
    return {
      names: session.inputNames,
      metadata: session.inputMetadata,
      left: await run({}),
      accepted: await run(threshold(0)),
      refused: await run(threshold(100)),
    };
  },
  async failing() {
    const session = await create(model);
    return told(() => session.run({ x: x() }));
  },
};

register({ library });
console.log(JSON.stringify(await DO[what](), (_, value) => (typeof value === 'bigint' ? String(value) : value)));
