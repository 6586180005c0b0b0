// Sweeper: retention over the sessions' streams, the oldest entries first. It takes away only what a transcript covers,
// always a prefix of a session, in two steps: it writes the marks (what is remembered), and a grace later, when
// everybody who acts without having seen them has finished, it purges. What was marked and is still there is found again
// by the next sweep, on whatever node: nothing is kept in between. One node sweeps at a time, by a lease; two at once
// would only do the same work twice.
import { randomBytes } from 'node:crypto'
import type { NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import type { Seq } from '../../ports/entry.ts'
import { StorageError } from '../../ports/errors.ts'
import type { Retention } from '../../ports/session-log.ts'
import type { DirectReader } from '../log/direct-reader.ts'
import type { Publisher } from '../log/publisher.ts'
import { decodeLine, type Names, type StoredMessage } from '../log/record.ts'
import type { Home, SessionSource } from '../log/session-source.ts'
import type { TrimWatermarks } from '../log/trim-watermarks.ts'
import type { Streams } from '../streams.ts'

export interface SweeperOptions {
  readonly connection: NatsConnection
  readonly publisher: Publisher
  readonly reader: DirectReader
  readonly marks: TrimWatermarks
  readonly source: SessionSource
  readonly streams: Streams
  readonly covered: (session: string) => Promise<Seq>
  readonly retention: Retention
  readonly uncovered: (sessions: ReadonlySet<string>) => void
  readonly now: () => number
  readonly logger: Logger
  readonly graceMs: number
  readonly intervalMs: number
  /** Resolves when this node's appends that found no mark until now are settled. */
  readonly settled: () => Promise<unknown>
}

/** What a sweep saw of one session. */
interface Plan {
  readonly session: string
  readonly covered: Seq
  /** The first of its entries. */
  readonly first: Seq
  /** Its entries up to here may go. */
  upTo: Seq
  /** One was met that must stay: nothing after it goes. */
  blocked: boolean
  /** The last entry of each subject among those that may go. */
  readonly lasts: Map<string, Seq>
  /** Marked, and the grace is over. */
  purge: Seq
}

interface Scanned {
  readonly seq: Seq
  readonly plan: Plan
}

interface StreamState {
  readonly first_seq: Seq
  readonly last_seq: Seq
  readonly bytes: number
  readonly messages: number
}

/** Sessions that one sweep asks to have folded. */
const UNCOVERED_MAX = 1_000
/** Messages that one sweep looks at; the next goes on from there. */
const SCAN_MAX = 200_000
const SCAN_ENTRIES = 1_000
const SCAN_BYTES = 4 * 1024 * 1024
/** Nodes' clocks, and appends in flight, differ by less: what is so much younger ends the scan. */
const SPAN_MS = 10 * 60_000
const LEASE_MS = 5 * 60_000
const API_MS = 10_000
/** Sessions that are marked, or purged, at once. */
const TOGETHER = 8
const MESSAGE_BYTES = 60

export class Sweeper {
  readonly #options: SweeperOptions
  readonly #node = randomBytes(6).toString('base64url')
  readonly #timer: NodeJS.Timeout
  /** Where a scan that was too long goes on. */
  readonly #next = new Map<string, Seq>()
  #running: Promise<void> | undefined
  #closed = false

  constructor(options: SweeperOptions) {
    this.#options = options
    // Nodes that start together do not sweep together.
    const intervalMs = options.intervalMs * (0.9 + Math.random() / 5)
    this.#timer = setInterval(() => this.#inBackground(), intervalMs).unref()
  }

  /** Sweeps now; returns without having done so when another node does. @throws StorageError */
  async sweep(): Promise<void> {
    const running = (this.#running ?? Promise.resolve()).then(() => this.#sweep())
    const ended = running.catch(() => undefined)
    this.#running = ended
    try {
      await running
    } finally {
      if (this.#running === ended) this.#running = undefined
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#timer)
    await this.#running
  }

  #inBackground(): void {
    if (this.#running !== undefined) return
    this.sweep().catch((error: unknown) =>
      this.#options.logger.warn({ err: error }, 'a sweep was given up; the next one tries again'),
    )
  }

  async #sweep(): Promise<void> {
    if (this.#closed || !(await this.#lease(LEASE_MS))) return
    try {
      const uncovered = new Set<string>()
      for (const partition of this.#options.streams.partitions.keys()) await this.#sweepPartition(partition, uncovered)
      if (uncovered.size > 0) this.#options.uncovered(uncovered)
    } finally {
      await this.#lease(0)
    }
  }

  async #sweepPartition(partition: number, uncovered: Set<string>): Promise<void> {
    const { streams, retention, logger, marks, graceMs } = this.#options
    const home = this.#options.source.homes[partition] as Home
    const state = await this.#api<{ state: StreamState }>(`STREAM.INFO.${home.stream}`).then((info) => info.state)
    if (state.messages === 0) return
    const maxBytes = retention.maxBytes / streams.partitions.length
    const from = Math.max(state.first_seq, this.#next.get(home.stream) ?? 0)
    const { plans, scanned, bytes } = await this.#scan(home, from, state, maxBytes, uncovered)
    const doomed = plans.filter(({ upTo }) => upTo > 0)
    if (doomed.length > 0) {
      await marks.raise(partition, Math.max(...doomed.map(({ upTo }) => upTo)))
      await each(doomed, (plan) => this.#mark(plan))
      if (graceMs === 0) await this.#options.settled()
      const purged = await this.#purge(home, from === state.first_seq ? scanned : [], doomed)
      logger.info({ stream: home.stream, marked: doomed.length, purged }, 'old entries were swept')
    }
    if (bytes > maxBytes) {
      logger.warn({ bytes, maxBytes }, 'the log is over its bound, and no transcript covers more')
    }
  }

  async #scan(home: Home, from: Seq, state: StreamState, maxBytes: number, uncovered: Set<string>) {
    const { reader, now, retention } = this.#options
    const cutoff = now() - retention.maxAgeMs
    const plans = new Map<string, Plan>()
    const scanned: Scanned[] = []
    let { bytes } = state
    let next = from
    let end = false
    while (!end && !this.#closed && scanned.length < SCAN_MAX && next <= state.last_seq) {
      const range = { stream: home.stream, from: next, entries: SCAN_ENTRIES, bytes: SCAN_BYTES }
      const { messages } = await reader.range(range)
      if (messages.length === 0) break
      const names = messages.map((message) => home.subjects.ofStored(message.subject))
      const firsts = new Map<string, Seq>()
      for (const [index, { session }] of names.entries()) {
        if (!firsts.has(session)) firsts.set(session, (messages[index] as StoredMessage).seq)
      }
      await this.#plan(firsts, plans)
      for (const [index, message] of messages.entries()) {
        const { session, subject } = names[index] as Names
        const plan = plans.get(session) as Plan
        if (subject === undefined) {
          // A part goes with the entry that it is of, which comes after it.
          scanned.push({ seq: message.seq, plan })
          continue
        }
        const { entry } = decodeLine(subject, message.seq, message.data)
        const over = bytes > maxBytes
        if (!over && entry.time >= cutoff + SPAN_MS) {
          end = true
          break
        }
        next = message.seq + 1
        scanned.push({ seq: message.seq, plan })
        const old = over || entry.time < cutoff
        if (old && !plan.blocked && entry.seq <= plan.covered) {
          plan.upTo = entry.seq
          plan.lasts.set(subject, entry.seq)
          bytes -= message.data.length + message.subject.length + MESSAGE_BYTES
        } else {
          if (old && !plan.blocked && uncovered.size < UNCOVERED_MAX) uncovered.add(session)
          plan.blocked = true
        }
      }
    }
    this.#next.set(home.stream, !end && next <= state.last_seq ? next : 0)
    return { plans: [...plans.values()], scanned, bytes }
  }

  async #plan(firsts: ReadonlyMap<string, Seq>, plans: Map<string, Plan>): Promise<void> {
    const unknown = [...firsts].filter(([session]) => !plans.has(session))
    await each(unknown, async ([session, first]) => {
      const covered = await this.#options.covered(session)
      plans.set(session, { session, covered, first, upTo: 0, blocked: false, lasts: new Map(), purge: 0 })
    })
  }

  // A session whose last mark is still in its grace is left alone until that is over: each mark has its whole grace.
  async #mark(plan: Plan): Promise<void> {
    const { marks, graceMs } = this.#options
    const known = await marks.look(plan.session)
    const ripe = Date.now() - known.markedAt >= graceMs
    if (known.trimmed > 0 && !ripe) return
    plan.purge = Math.min(known.trimmed, plan.upTo)
    // What was marked goes first; the next sweep marks what is left.
    if (plan.first <= known.trimmed && graceMs > 0) return
    await marks.write(plan.session, plan.upTo, plan.lasts)
    if (graceMs === 0) plan.purge = plan.upTo
  }

  /** @param scanned all entries from the stream's first on, or none */
  async #purge(home: Home, scanned: readonly Scanned[], plans: readonly Plan[]): Promise<number> {
    const kept = scanned.find(({ seq, plan }) => seq > plan.purge)?.seq
    const before = kept ?? (scanned.at(-1)?.seq ?? 0) + 1
    // One purge for all that lies in front of the first entry that stays.
    if (scanned.length > 0 && before > (scanned[0] as Scanned).seq) await this.#purgeRequest(home, { seq: before })
    const rest = plans.filter(({ purge }) => purge >= before || (purge > 0 && scanned.length === 0))
    await each(rest, ({ session, purge }) =>
      this.#purgeRequest(home, { filter: home.subjects.storedAll(session), seq: purge + 1 }),
    )
    return plans.filter(({ purge }) => purge > 0).length
  }

  async #purgeRequest(home: Home, request: { readonly filter?: string; readonly seq: Seq }): Promise<void> {
    if (this.#closed) throw new StorageError('unavailable')
    await this.#api(`STREAM.PURGE.${home.stream}`, request)
  }

  async #lease(ms: number): Promise<boolean> {
    const { publisher, reader, streams } = this.#options
    const subject = `${streams.prefix}.mark.sweep`
    const [held] = await reader.lasts(streams.marks, [subject])
    const [node, until] = held === undefined ? [] : Buffer.from(held.data).toString().split('\t')
    if (held !== undefined && node !== this.#node && Number(until) > Date.now()) return false
    const payload = `${this.#node}\t${Date.now() + ms}`
    return (await publisher.publish({ subject, payload, expect: held?.seq ?? 0 })).stored !== undefined
  }

  async #api<T>(name: string, request?: object): Promise<T> {
    const body = request === undefined ? '' : JSON.stringify(request)
    try {
      const reply = await this.#options.connection.request(`$JS.API.${name}`, body, { timeout: API_MS })
      const answer = reply.json<T & { readonly error?: { readonly description: string } }>()
      if (answer.error !== undefined) throw new Error(answer.error.description)
      return answer
    } catch (error) {
      throw new StorageError('unavailable', error)
    }
  }
}

async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let i = 0; i < items.length; i += TOGETHER) await Promise.all(items.slice(i, i + TOGETHER).map(work))
}
