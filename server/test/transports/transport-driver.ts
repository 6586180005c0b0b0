// TransportDriver: a driver of one transport for the transport contract: start a run, read it, resume from a cursor,
// cancel. Drivers share no code with the SDK: they are written from the protocol's text, and verify everything.
import type { EntryFrame } from '@parley/protocol'

/** A message with the id of its command, which is the same on every transport. */
export interface MessageRequest {
  readonly session: string
  readonly id: string
  readonly content: string
  readonly agent?: string
}

/** The result of an ended run. */
export interface FinalResult {
  readonly state: string
  readonly text: string
}

export type Item =
  /** The last entry of a run may come with the result. */
  | { readonly kind: 'entry'; readonly entry: EntryFrame; readonly result?: FinalResult }
  /** Discards everything that was read. */
  | { readonly kind: 'reset' }
  /** The text so far, on a transport without entries. */
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'result'; readonly result: FinalResult }

export interface StartedRun {
  /** The request's, with the actual session: some transports create their own. */
  readonly message: MessageRequest
  readonly reading: Reading
}

export interface TransportDriver {
  readonly name: string
  /** How it finds a run that was started elsewhere: by the run's id, or by the key of its message. */
  readonly finds: 'run' | 'key'
  /** @throws TransportError */
  begin(node: string, message: MessageRequest): Promise<StartedRun>
  /**
   * Reads after a cursor, or from the beginning. A transport that reads a session does not end with a run.
   * @throws TransportError
   */
  resume(node: string, message: MessageRequest, run: string, after: string | undefined): Promise<Reading>
  /** Resolves when the cancel is acknowledged. Undefined if the transport has no command for it. */
  cancel?(node: string, session: string, run: string): Promise<void>
}

/** The server answered with an error code. */
export class TransportError extends Error {
  readonly code: string
  constructor(code: string) {
    super(`refused: ${code}`)
    this.code = code
  }
}

/** The items that a transport delivers, until it ends or is stopped. */
export class Reading {
  readonly #items: AsyncGenerator<Item, void, void>
  readonly #disconnect: AbortController

  constructor(make: (signal: AbortSignal) => AsyncGenerator<Item, void, void>, disconnect = new AbortController()) {
    this.#disconnect = disconnect
    this.#items = make(disconnect.signal)
  }

  /** Undefined at the end. */
  async next(): Promise<Item | undefined> {
    const { done, value } = await this.#items.next()
    return done === true ? undefined : value
  }

  /** Disconnects at once; a pending `next` fails. */
  stop(): void {
    this.#disconnect.abort()
  }
}

/** The WebSocket URL of a node's origin. */
export function socketUrl(node: string): string {
  return `${node.replace(/^http/, 'ws')}/v1/ws`
}

/** @throws TransportError if the answer is an error */
export async function accepted(response: Response): Promise<Response> {
  if (response.ok) return response
  const problem = (await response.json()) as { readonly code?: string; readonly error?: { readonly code?: string } }
  throw new TransportError(problem.code ?? problem.error?.code ?? `status ${response.status}`)
}

/** The entries of a page, the last one with the result. */
export function* asItems(entries: readonly EntryFrame[], result?: FinalResult): Generator<Item, void, void> {
  for (const [at, entry] of entries.entries()) {
    const isLast = at === entries.length - 1
    yield { kind: 'entry', entry, ...(result !== undefined && isLast ? { result } : {}) }
  }
  if (entries.length === 0 && result !== undefined) yield { kind: 'result', result }
}
