// Limits that are part of the protocol: a client may rely on them, and `welcome` repeats the
// ones that a server configures. Each has an error or close code (PROTOCOL.md, Limits).

export const LIMITS = {
  /** Bytes of one WebSocket message from a client; beyond: close 4413. */
  frameBytes: 1024 * 1024,
  /** Frames in one array. */
  batchFrames: 256,
  /** How deep arrays and objects of one message from a client may lie in each other; beyond: close 4400. */
  depth: 64,
  /** UTF-16 code units of one message's text, and of one inline file. */
  messageChars: 512 * 1024,
  messageParts: 64,
  /** Tools that one attach declares, and the bytes of their definitions as JSON. */
  tools: 64,
  toolBytes: 128 * 1024,
  /** Bytes of one tool result as JSON. */
  toolOutputBytes: 256 * 1024,
  /** Bytes of one presence state as JSON. */
  presenceBytes: 1024,
  /** Milliseconds within which `hello` has to come; beyond: close 4408. */
  helloMs: 10_000,
  /** Sessions attached over one connection. */
  attachedSessions: 1_000,
  /** Messages and tools that one message brings as its context. */
  contextMessages: 1_024,
  contextTools: 128,
  /** Members of one session, and invitations that are open. */
  members: 1_000,
  invites: 64,
  /** Runs of one session that wait for their turn. */
  queuedRuns: 32,
} as const
export type Limits = { readonly [name in keyof typeof LIMITS]: number }
