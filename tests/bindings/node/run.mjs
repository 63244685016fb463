// Runs a list of a set (tests/bindings/__init__.py) by the Node package.
//
//     node run.mjs PACKAGE LIBRARY SET LIST OUT
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [, , home, library, set, list, out] = process.argv;
const { InferenceSession, Tensor, register } = createRequire(join(home, 'index.js'))(home);
const NAMES = [, 'float32', 'uint8', 'int8', 'uint16', 'int16', 'int32', 'int64', 'string', 'bool', 'float16', 'float64', 'uint32', 'uint64'];
const KINDS = {
  float32: Float32Array, uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array, int32: Int32Array,
  int64: BigInt64Array, bool: Uint8Array, float16: Uint16Array, float64: Float64Array, uint32: Uint32Array, uint64: BigUint64Array,
};

function tensor(element, sizes, file) {
  const data = readFileSync(join(set, file));
  const dims = sizes.split(',').filter(Boolean).map(Number);
  const type = NAMES[element];
  if (type !== 'string') return new Tensor(type, new KINDS[type](new Uint8Array(data).buffer), dims);
  const texts = [];
  for (let at = 0; at < data.length; at += 4 + data.readInt32LE(at)) texts.push(data.toString('utf8', at + 4, at + 4 + data.readInt32LE(at)));
  return new Tensor('string', texts, dims);
}

function packed(text) {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeInt32LE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function written(folder, results, names) {
  const lines = names.map((name, place) => {
    const { type, dims, data } = results[name];
    const bytes = type === 'string' ? Buffer.concat(data.map(packed)) : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    writeFileSync(join(folder, String(place)), bytes);
    return `${name}\t${NAMES.indexOf(type)}\t${dims.join(',')}\t${place}\n`;
  });
  writeFileSync(join(folder, 'outputs'), lines.join(''));
}

async function run(model, feeds, extra, folder) {
  try {
    const session = await InferenceSession.create(join(set, model), { executionProviders: ['hybrid'], extra });
    written(folder, await session.run(feeds), session.outputNames);
    await session.release();
  } catch (problem) {
    writeFileSync(join(folder, 'error'), problem.message);
  }
}

register({ library });
let [feeds, extra] = [{}, {}];
for (const line of readFileSync(join(set, list), 'utf8').split('\n')) {
  const [verb, ...cells] = line.split('\t');
  if (verb === 'input' || verb === 'default') feeds[cells[0]] = tensor(...cells.slice(1));
  if (verb === 'entry') extra[cells[0]] = cells[1].replaceAll('{set}', set);
  if (verb === 'run') await run(cells[0], feeds, extra, join(out, cells[1]));
  if (verb === 'together') {
    await Promise.all([...Array(Number(cells[2])).keys()].map((n) => run(cells[0], feeds, extra, join(out, cells[1], String(n)))));
  }
  if (verb === 'leave') {
    run(cells[0], feeds, extra, join(out, cells[1]));
    process.stdin.once('data', () => process.exit(0));
  }
  if (['run', 'together', 'leave'].includes(verb)) [feeds, extra] = [{}, {}];
}
