// TrimWatermarks: remembers trimmed entries: how far each session is trimmed, and the last sequence number of each
// subject without entries, in a few records per session. JetStream forgets a purged subject, but a command's id must be
// remembered forever. A cached lookup is valid for a third of the grace period, and entries are purged one grace period
// after their watermark was written. So an append that found no watermark has finished before the purge. Without a
// grace period nothing is cached.
import type { Seq } from '../../ports/entry.ts'
import { Conflict } from '../../ports/errors.ts'
import type { DirectReader } from './direct-reader.ts'
import type { Publisher } from './publisher.ts'
import { escapeToken, type StoredMessage } from './record.ts'

export interface TrimWatermarksOptions {
  readonly publisher: Publisher
  readonly reader: DirectReader
  readonly prefix: string
  readonly stream: string
  /** Milliseconds from writing a watermark to the purge. */
  readonly graceMs: number
  /** Sessions whose watermarks are cached; default 20,000. */
  readonly cachedSessions?: number
  /** Characters of a record after which a new record is started; default 64,000. */
  readonly recordChars?: number
}

export interface SessionWatermarks {
  /** Entries up to here are trimmed; 0: none. */
  readonly trimmed: Seq
  /** Unix milliseconds; the entries are purged one grace period later. */
  readonly writtenAt: number
  /** The last sequence number of each subject whose entries were all trimmed. */
  readonly lastSeqs: ReadonlyMap<string, Seq>
}

interface Cached<T> {
  readonly value: T
  readonly at: number
}

interface WatermarkRecord {
  readonly number: number
  /** The record's sequence number in its stream, which its next version expects. */
  readonly seq: Seq
  readonly text: string
}

const FORMAT = '1'
const NOT_TRIMMED: SessionWatermarks = { trimmed: 0, writtenAt: 0, lastSeqs: new Map() }
const WRITE_ATTEMPTS = 8

export class TrimWatermarks {
  readonly #options: TrimWatermarksOptions
  readonly #cached = new Map<string, Cached<SessionWatermarks>>()
  readonly #horizons = new Map<number, Cached<Seq>>()

  constructor(options: TrimWatermarksOptions) {
    this.#options = options
  }

  /** How long a cached lookup is valid. */
  get #validMs(): number {
    return this.#options.graceMs / 3
  }

  /** @throws StorageError */
  async of(session: string, partition: number): Promise<SessionWatermarks> {
    if ((await this.horizon(partition)) === 0) return NOT_TRIMMED
    const known = this.#cached.get(session)
    if (known !== undefined && performance.now() - known.at < this.#validMs) return known.value
    return this.lookUp(session)
  }

  /** Reads the watermarks without the cache. @throws StorageError */
  async lookUp(session: string): Promise<SessionWatermarks> {
    const at = performance.now()
    return this.#remember(session, read(await this.#records(session)), at)
  }

  /** No entry of the partition after this number was ever trimmed: no lookup is needed. @throws StorageError */
  async horizon(partition: number): Promise<Seq> {
    const known = this.#horizons.get(partition)
    const at = performance.now()
    if (known !== undefined && at - known.at < this.#validMs) return known.value
    const { reader, stream } = this.#options
    const [message] = await reader.lastBySubject(stream, [this.#horizonSubject(partition)])
    const value = message === undefined ? 0 : Number(textOf(message))
    this.#horizons.set(partition, { value, at })
    return value
  }

  /** Raises the horizon. Call it before `write`, because a lookup reads the horizon first. @throws StorageError */
  async raise(partition: number, horizon: Seq): Promise<void> {
    const { publisher, reader, stream } = this.#options
    const subject = this.#horizonSubject(partition)
    for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt++) {
      const [message] = await reader.lastBySubject(stream, [subject])
      if (message !== undefined && Number(textOf(message)) >= horizon) break
      const outcome = await publisher.publish({ subject, payload: String(horizon), expect: message?.seq ?? 0 })
      if (outcome.stored !== undefined) break
    }
    this.#horizons.delete(partition)
  }

  /** Writes a session's watermark. Idempotent. @throws StorageError, Conflict when other writers win every attempt */
  async write(session: string, trimmed: Seq, lastSeqs: ReadonlyMap<string, Seq>): Promise<void> {
    for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt++) {
      if (await this.#tryWrite(session, trimmed, lastSeqs)) {
        this.#cached.delete(session)
        return
      }
    }
    throw new Conflict(0)
  }

  async #tryWrite(session: string, trimmed: Seq, lastSeqs: ReadonlyMap<string, Seq>): Promise<boolean> {
    const records = await this.#records(session)
    const known = read(records)
    const lines = [...lastSeqs].filter(([subject, last]) => (known.lastSeqs.get(subject) ?? 0) < last)
    if (lines.length === 0 && known.trimmed >= trimmed) return true
    const newTrimmed = Math.max(trimmed, known.trimmed)
    const limit = this.#options.recordChars ?? 64_000
    let { number, seq, text } = records.at(-1) ?? { number: 0, seq: 0, text: '' }
    text = withTrimmed(text, newTrimmed)
    for (const [subject, last] of lines) {
      if (text.length > limit) {
        if (!(await this.#put(session, number, seq, text))) return false
        number += 1
        seq = 0
        text = withTrimmed('', newTrimmed)
      }
      text += `${subject}\t${last}\n`
    }
    return this.#put(session, number, seq, text)
  }

  async #put(session: string, number: number, expect: Seq, payload: string): Promise<boolean> {
    const subject = `${this.#sessionSubjects(session)}${number}`
    return (await this.#options.publisher.publish({ subject, payload, expect })).stored !== undefined
  }

  async #records(session: string): Promise<WatermarkRecord[]> {
    const { reader, stream } = this.#options
    const start = this.#sessionSubjects(session)
    const messages = await reader.lastBySubject(stream, [`${start}*`])
    const records = messages.map((message) => {
      return { number: Number(message.subject.slice(start.length)), seq: message.seq, text: textOf(message) }
    })
    return records.sort((a, b) => a.number - b.number)
  }

  #remember(session: string, value: SessionWatermarks, at: number): SessionWatermarks {
    if (this.#validMs > 0) {
      this.#cached.delete(session)
      this.#cached.set(session, { value, at })
      const oldest = this.#cached.keys().next()
      if (this.#cached.size > (this.#options.cachedSessions ?? 20_000) && !oldest.done) {
        this.#cached.delete(oldest.value)
      }
    }
    return value
  }

  #sessionSubjects(session: string): string {
    return `${this.#options.prefix}.mark.session.${escapeToken(session)}.`
  }

  #horizonSubject(partition: number): string {
    return `${this.#options.prefix}.mark.horizon.${partition}`
  }
}

function withTrimmed(text: string, trimmed: Seq): string {
  return `${FORMAT}\t${trimmed}\t${Date.now()}\n${text.slice(text.indexOf('\n') + 1)}`
}

function read(records: readonly WatermarkRecord[]): SessionWatermarks {
  if (records.length === 0) return NOT_TRIMMED
  let trimmed = 0
  let writtenAt = 0
  const lastSeqs = new Map<string, Seq>()
  for (const { text } of records) {
    const lines = text.split('\n')
    const [format, upTo, at] = (lines[0] as string).split('\t')
    if (format !== FORMAT) throw new Error(`unsupported format of a trim watermark: ${format}`)
    trimmed = Math.max(trimmed, Number(upTo))
    writtenAt = Math.max(writtenAt, Number(at))
    for (let i = 1; i < lines.length - 1; i++) {
      const [subject, last] = (lines[i] as string).split('\t') as [string, string]
      lastSeqs.set(subject, Math.max(lastSeqs.get(subject) ?? 0, Number(last)))
    }
  }
  return { trimmed, writtenAt, lastSeqs }
}

function textOf(message: StoredMessage): string {
  return Buffer.from(message.data).toString()
}
