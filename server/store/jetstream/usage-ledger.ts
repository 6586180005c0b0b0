// JetStreamUsageLedger: what was spent, in a stream that keeps the last message of each subject; and the same told to the other
// nodes at once, many in one message, so that none of them has to ask.
//
//   <prefix>.usage.<window>.<index>.<account>.<writer>   stored: the total
//   <prefix>.spent                                       told: rows of the same
import type { Msg, Subscription as NatsSubscription } from '@nats-io/transport-node'
import { StorageError } from '../ports/errors.ts'
import type { Subscription } from '../ports/session-log.ts'
import type { Counter, LedgerListener, Tally, UsageLedger } from '../ports/usage-ledger.ts'
import type { JetStreamConnection } from './connection.ts'
import { DirectReader } from './log/direct-reader.ts'
import { purge } from './maintenance/purge.ts'
import type { Streams } from './streams.ts'

const ANSWER_MS = 5_000
/** Tallies that are stored at once, and that are told in one message. */
const AT_ONCE = 200
const LOAD_BYTES = 256 * 1024
/** Windows before the one that is asked for that are looked at: a node forgets each soon after its end. */
const FORGET_BACK = 3

export class JetStreamUsageLedger implements UsageLedger {
  readonly #connection: JetStreamConnection
  readonly #streams: Streams
  readonly #reader: DirectReader
  readonly #states: Subscription
  readonly #heard: NatsSubscription
  readonly #listeners = new Set<LedgerListener>()

  constructor(connection: JetStreamConnection, streams: Streams) {
    this.#connection = connection
    this.#streams = streams
    this.#reader = new DirectReader(connection.nats)
    this.#heard = connection.nats.subscribe(`${streams.prefix}.spent`, {
      callback: (_, message) => this.#told(message),
    })
    this.#states = connection.onState((state) => {
      if (state !== 'live') return
      this.#reader.interrupt()
      for (const listener of this.#listeners) listener.missed()
    })
  }

  async put(tallies: readonly Tally[]): Promise<void> {
    const { nats, state } = this.#connection
    if (state !== 'live') throw new StorageError('unavailable')
    for (let from = 0; from < tallies.length; from += AT_ONCE) {
      const part = tallies.slice(from, from + AT_ONCE)
      if (!nats.isClosed()) nats.publish(`${this.#streams.prefix}.spent`, JSON.stringify(part.map(rowOf)))
      await Promise.all(part.map((tally) => this.#store(tally)))
    }
  }

  async load(counter: Counter): Promise<readonly Tally[]> {
    const start = `${this.#subject(counter)}.`
    const { usage } = this.#streams
    const messages = await this.#reader.lastsFrom(usage, `${start}*`, 1, LOAD_BYTES)
    if (messages === undefined) throw new StorageError('unavailable', 'one account has too many writers')
    return messages.map(({ subject, data }) => ({
      ...counter,
      writer: subject.slice(start.length),
      total: Number(Buffer.from(data).toString()),
    }))
  }

  follow(listener: LedgerListener): Subscription {
    this.#listeners.add(listener)
    return { close: () => this.#listeners.delete(listener) }
  }

  /** What no node forgets, because none ran at the time, goes by its age. */
  async forget(windowMs: number, before: number): Promise<void> {
    const { prefix, usage } = this.#streams
    for (let index = Math.max(0, before - FORGET_BACK); index < before; index += 1) {
      await purge(this.#connection.nats, usage, { filter: `${prefix}.usage.${windowMs}.${index}.>` })
    }
  }

  close(): void {
    this.#reader.close()
    this.#states.close()
    if (!this.#connection.nats.isClosed()) this.#heard.unsubscribe()
    this.#listeners.clear()
  }

  async #store(tally: Tally): Promise<void> {
    try {
      const subject = `${this.#subject(tally)}.${tally.writer}`
      const reply = await this.#connection.nats.request(subject, String(tally.total), { timeout: ANSWER_MS })
      const { error } = reply.json<{ readonly error?: { readonly description: string } }>()
      if (error !== undefined) throw new Error(error.description)
    } catch (error) {
      throw new StorageError('unavailable', error)
    }
  }

  #subject({ windowMs, index, account }: Counter): string {
    return `${this.#streams.prefix}.usage.${windowMs}.${index}.${account}`
  }

  /** What this process says itself comes back, too: nothing is new in it. */
  #told(message: Msg): void {
    for (const tally of talliesIn(message)) for (const listener of this.#listeners) listener.told(tally)
  }
}

function rowOf({ windowMs, index, account, writer, total }: Tally): readonly unknown[] {
  return [windowMs, index, account, writer, total]
}

/** What is not ours is none of our business. */
function talliesIn(message: Msg): readonly Tally[] {
  try {
    const rows = message.json<unknown>()
    return Array.isArray(rows) ? rows.flatMap(tallyOf) : []
  } catch {
    return []
  }
}

function tallyOf(row: unknown): readonly Tally[] {
  if (!Array.isArray(row)) return []
  const [windowMs, index, account, writer, total] = row as readonly unknown[]
  const isNumbers = Number.isSafeInteger(windowMs) && Number.isSafeInteger(index) && Number.isSafeInteger(total)
  if (!isNumbers || typeof account !== 'string' || typeof writer !== 'string') return []
  return [{ windowMs: windowMs as number, index: index as number, account, writer, total: total as number }]
}
