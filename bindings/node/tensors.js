// Tensors of onnxruntime-common on their way to the addon and back.
'use strict';

const { Tensor } = require('onnxruntime-common');
const { failure, mistake } = require('./failures.js');

/** Type in JavaScript: its number in ONNX, and the arrays that hold it. */
const TYPES = {
  float32: [1, Float32Array],
  uint8: [2, Uint8Array],
  int8: [3, Int8Array],
  uint16: [4, Uint16Array],
  int16: [5, Int16Array],
  int32: [6, Int32Array],
  int64: [7, BigInt64Array],
  string: [8],
  bool: [9, Uint8Array],
  float16: [10, globalThis.Float16Array ?? Uint16Array, Uint16Array],
  float64: [11, Float64Array],
  uint32: [12, Uint32Array],
  uint64: [13, BigUint64Array],
};
const NAMES = new Map(Object.entries(TYPES).map(([name, [number]]) => [number, name]));

/** What an input is, by its description. */
function described({ name, element, sizes }) {
  const type = NAMES.get(element);
  return type ? { name, isTensor: true, type, shape: sizes } : { name, isTensor: false };
}

/** A feed as the addon takes it; `expected` is the number of the input's element type. */
function sent(name, value, expected) {
  const at = `the input ${JSON.stringify(name)}`;
  if (value === null || typeof value !== 'object' || !Array.isArray(value.dims) || typeof value.type !== 'string') {
    throw mistake(`${at} is no ort.Tensor`, 'ERR_INVALID_ARG_TYPE');
  }
  if (value.location !== undefined && value.location !== 'cpu') throw mistake(`${at} lies on ${value.location}, not on the CPU`);
  const [element, ...arrays] = Object.hasOwn(TYPES, value.type) ? TYPES[value.type] : [];
  if (element === undefined) throw mistake(`${at} is ${value.type}, which is not taken; there are ${Object.keys(TYPES).join(', ')}`);
  if (element !== expected) throw mistake(`${at} is ${value.type}, and the model takes ${NAMES.get(expected) ?? 'another type'}`);
  const sizes = value.dims.map(Number);
  if (!sizes.every((size) => Number.isSafeInteger(size) && size >= 0)) throw mistake(`${at} has the sizes ${sizes}`);
  const count = sizes.reduce((product, size) => product * size, 1);
  const data = value.data;
  const held = element === 8 ? Array.isArray(data) : arrays.some((kind) => data instanceof kind);
  if (!held) throw mistake(`${at} is ${value.type}, and its data is no ${element === 8 ? 'array of strings' : arrays[0].name}`, 'ERR_INVALID_ARG_TYPE');
  if (data.length !== count) throw mistake(`${at} has the sizes [${sizes}], and ${data.length} elements`);
  if (element === 8) return { name, element, sizes, texts: texts(at, data) };
  return { name, element, sizes, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

function texts(at, data) {
  data = [...data]; // a hole is no string
  data.forEach((text, place) => {
    if (typeof text !== 'string') throw mistake(`${at} has the element ${place}, which is no string`, 'ERR_INVALID_ARG_TYPE');
    if (!isWellFormed(text)) throw mistake(`${at} has the element ${place}, which is no Unicode text (a lone surrogate)`);
  });
  return data;
}

const isWellFormed = (text) => (text.isWellFormed ? text.isWellFormed() : !/\p{Surrogate}/u.test(text));

/** An output of the addon as a tensor. */
function received({ name, element, sizes, bytes, texts: strings }) {
  const type = NAMES.get(element);
  if (type === undefined) throw failure(`the output ${JSON.stringify(name)} has the element type ${element}`);
  if (element === 8) return [name, new Tensor('string', strings, sizes)];
  const Kind = TYPES[type][1];
  const aligned = bytes.byteOffset % Kind.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes);
  return [name, new Tensor(type, new Kind(aligned.buffer, aligned.byteOffset, bytes.byteLength / Kind.BYTES_PER_ELEMENT), sizes)];
}

module.exports = { described, received, sent };
