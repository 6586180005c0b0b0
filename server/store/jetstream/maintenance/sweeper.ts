// Sweeper: applies retention to the session streams, oldest entries first. It trims only entries that a transcript
// covers, always a prefix of a session, in two steps: it writes the watermarks, and purges one grace period later, when
// every append that did not see them has finished. It keeps no state in between: the next sweep, on any node, finds
// marked entries that are not purged yet. A lease lets one node sweep at a time; two would only do the same work twice.
import { randomBytes } from 'node:crypto'
import type { NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'
import type { Seq } from '../../ports/entry.ts'
import { StorageError } from '../../ports/errors.ts'
import type { Retention } from '../../ports/session-log.ts'
import { requestJson } from '../connection.ts'
import type { DirectReader } from '../log/direct-reader.ts'
import type { Publisher } from '../log/publisher.ts'
import { decodeLine, type Names, type StoredMessage } from '../log/record.ts'
import type { Home, SessionSource } from '../log/session-source.ts'
import type { TrimWatermarks } from '../log/trim-watermarks.ts'
import type { Streams } from '../streams.ts'
import { purge } from './purge.ts'

export interface SweeperOptions {
  readonly connection: NatsConnection
  readonly publisher: Publisher
  readonly reader: DirectReader
  readonly watermarks: TrimWatermarks
  readonly source: SessionSource
  readonly streams: Streams
  readonly covered: (session: string) => Promise<Seq>
  readonly retention: Retention
  readonly onUncovered: (sessions: ReadonlySet<string>) => void
  readonly now: () => number
  readonly logger: Logger
  readonly graceMs: number
  readonly intervalMs: number
  /** Resolves when this node's appends that rely on an earlier lookup of the watermarks have finished. */
  readonly pendingFirstAppends: () => Promise<unknown>
}

/** What a sweep does with one session. */
interface Plan {
  readonly session: string
  readonly covered: Seq
  /** The session's first entry. */
  readonly first: Seq
  /** Its entries up to here may be trimmed. */
  upTo: Seq
  /** An entry must stay, and so must all later ones. */
  blocked: boolean
  /** The last sequence number of each subject among the entries to trim. */
  readonly lastSeqs: Map<string, Seq>
  /** Its entries up to here are purged now: they have a watermark whose grace period has ended. */
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

/** Sessions that one sweep reports for compaction. */
const UNCOVERED_MAX = 1_000
/** Messages that one sweep scans; the next sweep continues from there. */
const SCAN_MAX = 200_000
const SCAN_ENTRIES = 1_000
const SCAN_BYTES = 4 * 1024 * 1024
/** A scan ends at the first entry that is this much too young: more than clocks and appends in flight differ. */
const SPAN_MS = 10 * 60_000
const LEASE_MS = 5 * 60_000
const API_MS = 10_000
/** Sessions whose watermarks are written, or that are purged, concurrently. */
const CONCURRENCY = 8
/** Approximate overhead of a stored message. */
const MESSAGE_BYTES = 60

export class Sweeper {
  readonly #options: SweeperOptions
  readonly #node = randomBytes(6).toString('base64url')
  readonly #timer: NodeJS.Timeout
  /** By stream: where the next sweep continues after a scan that reached its limit. */
  readonly #next = new Map<string, Seq>()
  #running: Promise<void> | undefined
  #closed = false

  constructor(options: SweeperOptions) {
    this.#options = options
    // Jitter, so that nodes that start together do not sweep together.
    const intervalMs = options.intervalMs * (0.9 + Math.random() / 5)
    this.#timer = setInterval(() => this.#inBackground(), intervalMs).unref()
  }

  /** Sweeps now, unless another node holds the lease. @throws StorageError */
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
      this.#options.logger.warn({ err: error }, 'sweep failed, the next one retries'),
    )
  }

  async #sweep(): Promise<void> {
    if (this.#closed || !(await this.#lease(LEASE_MS))) return
    try {
      const uncovered = new Set<string>()
      for (const partition of this.#options.streams.partitions.keys()) await this.#sweepPartition(partition, uncovered)
      if (uncovered.size > 0) this.#options.onUncovered(uncovered)
    } finally {
      await this.#lease(0)
    }
  }

  async #sweepPartition(partition: number, uncovered: Set<string>): Promise<void> {
    const { streams, retention, logger, watermarks, graceMs } = this.#options
    const home = this.#options.source.homes[partition] as Home
    const state = await this.#stateOf(home.stream)
    if (state.messages === 0) return
    const maxBytes = retention.maxBytes / streams.partitions.length
    const from = Math.max(state.first_seq, this.#next.get(home.stream) ?? 0)
    const { plans, scanned, bytes } = await this.#scan(home, from, state, maxBytes, uncovered)
    const trimmable = plans.filter(({ upTo }) => upTo > 0)
    if (trimmable.length > 0) {
      await watermarks.raise(partition, Math.max(...trimmable.map(({ upTo }) => upTo)))
      await forEach(trimmable, (plan) => this.#writeWatermark(plan))
      if (graceMs === 0) await this.#options.pendingFirstAppends()
      const purged = await this.#purge(home, from === state.first_seq ? scanned : [], trimmable)
      logger.info({ stream: home.stream, marked: trimmable.length, purged }, 'trimmed old entries')
    }
    if (bytes > maxBytes) {
      logger.warn({ bytes, maxBytes }, 'the log exceeds its size limit, and transcripts cover no more entries')
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
          // A part is trimmed with its entry, which is stored after it.
          scanned.push({ seq: message.seq, plan })
          continue
        }
        const { entry } = decodeLine(subject, message.seq, message.data)
        const isOverSize = bytes > maxBytes
        if (!isOverSize && entry.time >= cutoff + SPAN_MS) {
          end = true
          break
        }
        next = message.seq + 1
        scanned.push({ seq: message.seq, plan })
        const isExpired = isOverSize || entry.time < cutoff
        if (isExpired && !plan.blocked && entry.seq <= plan.covered) {
          plan.upTo = entry.seq
          plan.lastSeqs.set(subject, entry.seq)
          bytes -= message.data.length + message.subject.length + MESSAGE_BYTES
        } else {
          if (isExpired && !plan.blocked && uncovered.size < UNCOVERED_MAX) uncovered.add(session)
          plan.blocked = true
        }
      }
    }
    this.#next.set(home.stream, !end && next <= state.last_seq ? next : 0)
    return { plans: [...plans.values()], scanned, bytes }
  }

  async #plan(firsts: ReadonlyMap<string, Seq>, plans: Map<string, Plan>): Promise<void> {
    const unknown = [...firsts].filter(([session]) => !plans.has(session))
    await forEach(unknown, async ([session, first]) => {
      const covered = await this.#options.covered(session)
      plans.set(session, { session, covered, first, upTo: 0, blocked: false, lastSeqs: new Map(), purge: 0 })
    })
  }

  // A session whose last watermark is within its grace period is skipped, so that each watermark gets its full period.
  async #writeWatermark(plan: Plan): Promise<void> {
    const { watermarks, graceMs } = this.#options
    const known = await watermarks.lookUp(plan.session)
    const isGraceOver = Date.now() - known.writtenAt >= graceMs
    if (known.trimmed > 0 && !isGraceOver) return
    plan.purge = Math.min(known.trimmed, plan.upTo)
    // Entries with a watermark are purged first; the next sweep writes the watermark of the following ones.
    if (plan.first <= known.trimmed && graceMs > 0) return
    await watermarks.write(plan.session, plan.upTo, plan.lastSeqs)
    if (graceMs === 0) plan.purge = plan.upTo
  }

  /** @param scanned all messages from the stream's first one, or none */
  async #purge(home: Home, scanned: readonly Scanned[], plans: readonly Plan[]): Promise<number> {
    const kept = scanned.find(({ seq, plan }) => seq > plan.purge)?.seq
    const before = kept ?? (scanned.at(-1)?.seq ?? 0) + 1
    // One purge removes everything before the first entry that stays.
    if (scanned.length > 0 && before > (scanned[0] as Scanned).seq) await this.#purgeRequest(home, { seq: before })
    const rest = plans.filter(({ purge }) => purge >= before || (purge > 0 && scanned.length === 0))
    await forEach(rest, ({ session, purge }) =>
      this.#purgeRequest(home, { filter: home.subjects.storedAll(session), seq: purge + 1 }),
    )
    return plans.filter(({ purge }) => purge > 0).length
  }

  async #purgeRequest(home: Home, request: { readonly filter?: string; readonly seq: Seq }): Promise<void> {
    if (this.#closed) throw new StorageError('unavailable')
    await purge(this.#options.connection, home.stream, request)
  }

  async #lease(ms: number): Promise<boolean> {
    const { publisher, reader, streams } = this.#options
    const subject = `${streams.prefix}.mark.sweep`
    const [held] = await reader.lastBySubject(streams.watermarks, [subject])
    const [node, until] = held === undefined ? [] : Buffer.from(held.data).toString().split('\t')
    const now = Date.now()
    // A longer lease is of a node whose clock was wrong.
    const isValid = Number(until) > now && Number(until) <= now + LEASE_MS
    if (node !== this.#node && isValid) return false
    const payload = `${this.#node}\t${now + ms}`
    return (await publisher.publish({ subject, payload, expect: held?.seq ?? 0 })).stored !== undefined
  }

  async #stateOf(stream: string): Promise<StreamState> {
    const { connection } = this.#options
    return (await requestJson<{ state: StreamState }>(connection, `$JS.API.STREAM.INFO.${stream}`, '', API_MS)).state
  }
}

/** Runs the work for all items, a limited number at a time. */
async function forEach<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let i = 0; i < items.length; i += CONCURRENCY) await Promise.all(items.slice(i, i + CONCURRENCY).map(work))
}
