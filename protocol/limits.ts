// Limits of the protocol. Clients may rely on them, and `welcome` contains the values that a server configures.
// Each limit has an error code or close code (PROTOCOL.md, Limits).
import { FRAME_BYTES } from './subprotocol.ts'

export const LIMITS = {
  frameBytes: FRAME_BYTES,
  /** Frames in one array. */
  batchFrames: 256,
  /** Nesting of arrays and objects in one message or body from a client; if exceeded: close 4400, or 400. */
  depth: 64,
  /** Keys and values in the arrays and objects of one message or body from a client; if exceeded: close 4413, or 413. */
  values: 180_000,
  /** UTF-16 code units of one message's text, and of one inline file. */
  messageChars: 512 * 1024,
  messageParts: 64,
  /** Tools declared by one attach, and the bytes of their definitions as JSON. */
  tools: 64,
  toolBytes: 128 * 1024,
  /** Bytes of one tool result as JSON. */
  toolOutputBytes: 256 * 1024,
  /** Characters of a question, fields of its form, and bytes of its schema and of an answer as JSON. */
  questionChars: 4096,
  formFields: 32,
  formBytes: 32 * 1024,
  /** Questions of one tool call. */
  questions: 16,
  /** Bytes of one presence state as JSON. */
  presenceBytes: 1024,
  /** Milliseconds within which `hello` must arrive; if exceeded: close 4408. */
  helloMs: 10_000,
  /** Sessions attached by one connection. */
  attachedSessions: 1_000,
  /** Messages in the history of one context, and tools of one context. */
  contextMessages: 1_024,
  contextTools: 128,
  /** Members of one session, and its open invitations. */
  members: 1_000,
  invites: 64,
  /** Queued runs of one session. */
  queuedRuns: 32,
} as const
export type Limits = { readonly [name in keyof typeof LIMITS]: number }

/** Limits of a run's output. Clients cannot exceed them, so `welcome` does not contain them. */
export const OUTPUT_LIMITS = {
  /** Bytes of one `data` output as JSON, and of all in one run that are not replaced. */
  dataBytes: 32 * 1024,
  runDataBytes: 128 * 1024,
  /** Outputs of kinds `data`, `source` and `file` in one run. Those with the same `id` count once. */
  runExtras: 128,
  /** UTF-16 code units of the URLs of the files in one run. A URL may contain a small file. */
  runFileChars: 256 * 1024,
  /** UTF-16 code units of the text of one `tool.progress`. */
  progressChars: 1024,
} as const
