// Checked by the compiler alone: what a user of the types writes.
import { HybridError, InferenceSession, type SessionScope, Tensor, register } from '../index.js';

export async function label(hybrid: string): Promise<number> {
  register({ library: '/opt/libonnxhybrid.so' });
  const scope: SessionScope = {
    credentials: { cloud: { value: 'token', hosts: ['gpu.example'] } },
    endpoints: { gpu: ['https://one.example', 'https://two.example'] },
    policy: { max_concurrency: 4 },
  };
  const session = await InferenceSession.create(hybrid, {
    executionProviders: ['hybrid'],
    extra: { 'onnxhybrid.session': scope },
  });
  try {
    const { y } = await session.run({ x: new Tensor('float32', [1], [1]) });
    return Number(y.data[0]);
  } catch (problem) {
    if (problem instanceof HybridError && problem.code === 'OH501') return problem.attempts ?? 0;
    throw problem;
  } finally {
    await session.release();
  }
}
