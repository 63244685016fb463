// A hybrid in Node: a digit is told on the device, or by the service where the device is not sure.
//
//     node hybrid.mjs HYBRID [THRESHOLD]     with ONNXHYBRID_LIBRARY (python -c "import onnxhybrid as oh; print(oh.library_path())")
import { InferenceSession, Tensor, register } from 'onnxhybrid';

const [, , hybrid, threshold] = process.argv;
register();

const session = await InferenceSession.create(hybrid, {
  executionProviders: ['hybrid'],
  extra: { 'onnxhybrid.session': { credentials: { cloud: process.env.TOKEN ?? 'none' }, policy: { max_concurrency: 4 } } },
});
const image = Float32Array.from({ length: 64 }, (_, place) => place % 16);
const feeds = { image: new Tensor('float32', image, [1, 64]) };
if (threshold !== undefined) feeds.threshold = new Tensor('float32', [Number(threshold)], [1]); // has a default

try {
  const { label } = await session.run(feeds, ['label']);
  console.log(`label ${label.data[0]}`);
} catch (problem) {
  console.log(`${problem.code}: ${problem.message}`); // OH501 where the service cannot be reached
  process.exitCode = 1;
}
