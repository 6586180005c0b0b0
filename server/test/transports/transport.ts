// Door: one way to talk to a session, as the door contract drives it: begin a run, read it, go on from a cursor, cancel.
// A driver shares no code with the SDK: it is written from the protocol's text, and trusts nothing.
import type { EntryFrame } from '@parley/protocol'

/** A message, and the id that makes it one command on whichever doors it is given. */
export interface Ask {
  readonly session: string
  readonly id: string
  readonly content: string
}

/** What a door tells of a run that is over. */
export interface Whole {
  readonly state: string
  readonly text: string
}

export type Item =
  /** The last one of a run may bring the whole with it. */
  | { readonly kind: 'entry'; readonly entry: EntryFrame; readonly whole?: Whole }
  /** What was read so far is to be dropped. */
  | { readonly kind: 'reset' }
  /** All the text so far, on a door that has no entries. */
  | { readonly kind: 'piece'; readonly text: string }
  | { readonly kind: 'whole'; readonly whole: Whole }

export interface Begun {
  /** The one of the request; where the door makes sessions by itself, with that one. */
  readonly ask: Ask
  readonly reading: Reading
}

export interface Door {
  readonly name: string
  /** How it finds a run that was begun elsewhere: by its own name, or by the key of its message. */
  readonly finds: 'run' | 'key'
  /** @throws TransportError */
  begin(node: string, ask: Ask): Promise<Begun>
  /**
   * Reads on after a cursor; without one from the beginning. Transports of a session do not end with a run.
   * @throws TransportError
   */
  resume(node: string, ask: Ask, run: string, after: string | undefined): Promise<Reading>
  /** Resolves when it is acknowledged. Left out where the door has no way of its own. */
  cancel?(node: string, session: string, run: string): Promise<void>
}

/** A refusal, by its code. */
export class TransportError extends Error {
  readonly code: string
  constructor(code: string) {
    super(`refused: ${code}`)
    this.code = code
  }
}

/** What comes through a door, until nothing more can come, or it is left. */
export class Reading {
  readonly #items: AsyncGenerator<Item, void, void>
  readonly #leave: AbortController

  constructor(make: (signal: AbortSignal) => AsyncGenerator<Item, void, void>, leave = new AbortController()) {
    this.#leave = leave
    this.#items = make(leave.signal)
  }

  /** Undefined at the end. */
  async next(): Promise<Item | undefined> {
    const { done, value } = await this.#items.next()
    return done === true ? undefined : value
  }

  /** Hangs up, whatever is under way; whoever waits for an item is told by an error. */
  stop(): void {
    this.#leave.abort()
  }
}

/** The WebSocket at a node's origin. */
export function socketUrl(node: string): string {
  return `${node.replace(/^http/, 'ws')}/v1/ws`
}

/** @throws TransportError, when the answer is a problem */
export async function accepted(response: Response): Promise<Response> {
  if (response.ok) return response
  const problem = (await response.json()) as { readonly code?: string; readonly error?: { readonly code?: string } }
  throw new TransportError(problem.code ?? problem.error?.code ?? `status ${response.status}`)
}

/** Entries of a list, in their order; the whole comes with the last. */
export function* asItems(entries: readonly EntryFrame[], whole?: Whole): Generator<Item, void, void> {
  for (const [at, entry] of entries.entries()) {
    const isLast = at === entries.length - 1
    yield { kind: 'entry', entry, ...(whole !== undefined && isLast ? { whole } : {}) }
  }
  if (entries.length === 0 && whole !== undefined) yield { kind: 'whole', whole }
}
