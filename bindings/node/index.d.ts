import { InferenceSession, Tensor } from 'onnxruntime-common';

export { InferenceSession, Tensor };

/** Where the shared libraries are. */
export interface Libraries {
  /** ONNX Runtime's, 1.18 or later; that of onnxruntime-node where it is not given. */
  runtime?: string;
  /** The operator library, `oh.library_path()` in Python; ONNXHYBRID_LIBRARY where it is not given. */
  library?: string;
}

/** Register the backend "hybrid": `InferenceSession.create(path, { executionProviders: ['hybrid'] })`. */
export function register(libraries?: Libraries): void;

/** What a credential is: a text for the endpoints of the model, or one with the hosts that it is for. */
export type Credential = string | { value: string; hosts: string[] } | { file: string; hosts: string[] };

/** What a session alone is given: `extra: { 'onnxhybrid.session': … }`. */
export interface SessionScope {
  credentials?: Record<string, Credential>;
  endpoints?: Record<string, string | string[]>;
  policy?: Record<string, unknown>;
}

/** A failure of a remote call, or of the runtime. */
export class HybridError extends Error {
  /** A code of docs/errors.md, or ERR_ONNXRUNTIME. */
  code: string;
  /** The node whose call failed. */
  node?: string;
  endpoint?: string | null;
  /** HTTP or gRPC status; null where no answer came. */
  status?: number | null;
  attempts?: number;
}
