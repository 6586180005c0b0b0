// JetStreamUsageLedger: stores usage in a stream that keeps the last message of each subject, and publishes the same
// tallies to all nodes, many in one message, so that no node has to poll.
//
//   <prefix>.usage.<window>.<index>.<account>.<writer>   stored: the total
//   <prefix>.spent                                       published only: rows of tallies
import type { Msg, Subscription as NatsSubscription } from '@nats-io/transport-node'
import { StorageError } from '../ports/errors.ts'
import type { Subscription } from '../ports/session-log.ts'
import type { Counter, LedgerListener, Tally, UsageLedger } from '../ports/usage-ledger.ts'
import { type JetStreamConnection, jsonOf, requestJson } from './connection.ts'
import { DirectReader } from './log/direct-reader.ts'
import { purge } from './maintenance/purge.ts'
import type { Streams } from './streams.ts'

const ANSWER_MS = 5_000
/** Tallies that are stored concurrently, and published in one message. */
const BATCH_SIZE = 200
const LOAD_BYTES = 256 * 1024
/** Past windows that one call forgets. Nodes forget each window soon after its end, so older ones are rarely left. */
const FORGET_WINDOWS = 3

export class JetStreamUsageLedger implements UsageLedger {
  readonly #connection: JetStreamConnection
  readonly #streams: Streams
  readonly #reader: DirectReader
  readonly #states: Subscription
  readonly #subscription: NatsSubscription
  readonly #listeners = new Set<LedgerListener>()

  constructor(connection: JetStreamConnection, streams: Streams) {
    this.#connection = connection
    this.#streams = streams
    this.#reader = new DirectReader(connection.nats)
    this.#subscription = connection.nats.subscribe(`${streams.prefix}.spent`, {
      callback: (_, message) => this.#receive(message),
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
    for (let from = 0; from < tallies.length; from += BATCH_SIZE) {
      const part = tallies.slice(from, from + BATCH_SIZE)
      if (!nats.isClosed()) nats.publish(`${this.#streams.prefix}.spent`, JSON.stringify(part.map(rowOf)))
      await Promise.all(part.map((tally) => this.#store(tally)))
    }
  }

  async load(counter: Counter): Promise<readonly Tally[]> {
    const start = `${this.#subject(counter)}.`
    const { usage } = this.#streams
    const messages = await this.#reader.lastBySubjectFrom(usage, `${start}*`, 1, LOAD_BYTES)
    if (messages === undefined) throw new StorageError('unavailable', 'too many writers for one account')
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

  /** Windows that no node has forgotten, because none was running, expire with the stream's `max_age`. */
  async forget(windowMs: number, before: number): Promise<void> {
    const { prefix, usage } = this.#streams
    for (let index = Math.max(0, before - FORGET_WINDOWS); index < before; index += 1) {
      await purge(this.#connection.nats, usage, { filter: `${prefix}.usage.${windowMs}.${index}.>` })
    }
  }

  close(): void {
    this.#reader.close()
    this.#states.close()
    if (!this.#connection.nats.isClosed()) this.#subscription.unsubscribe()
    this.#listeners.clear()
  }

  async #store(tally: Tally): Promise<void> {
    const subject = `${this.#subject(tally)}.${tally.writer}`
    await requestJson(this.#connection.nats, subject, String(tally.total), ANSWER_MS)
  }

  #subject({ windowMs, index, account }: Counter): string {
    return `${this.#streams.prefix}.usage.${windowMs}.${index}.${account}`
  }

  /** Also receives this process's own tallies, which change nothing. */
  #receive(message: Msg): void {
    for (const tally of talliesIn(message)) for (const listener of this.#listeners) listener.updated(tally)
  }
}

function rowOf({ windowMs, index, account, writer, total }: Tally): readonly unknown[] {
  return [windowMs, index, account, writer, total]
}

function talliesIn(message: Msg): readonly Tally[] {
  const rows = jsonOf(message)
  return Array.isArray(rows) ? rows.flatMap(tallyOf) : []
}

function tallyOf(row: unknown): readonly Tally[] {
  if (!Array.isArray(row)) return []
  const [windowMs, index, account, writer, total] = row as readonly unknown[]
  const isNumbers = Number.isSafeInteger(windowMs) && Number.isSafeInteger(index) && Number.isSafeInteger(total)
  if (!isNumbers || typeof account !== 'string' || typeof writer !== 'string') return []
  return [{ windowMs: windowMs as number, index: index as number, account, writer, total: total as number }]
}
