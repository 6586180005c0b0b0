// TrimWatermarks: what is left of trimmed entries: each session's trimmed-up-to, and the last sequence number of each subject
// whose entries are all gone, in a few records a session, sealed when they are full. JetStream forgets a purged
// subject; the marks are why a command's id is remembered for ever. The rule of time: a look-up is good for a third of
// the grace, and nothing is purged before its mark is as old as the grace. So whoever acts on a look-up that found no
// mark has long finished when the entries go. With no grace every look-up is made anew.
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
  /** Milliseconds from a mark to its purge. */
  readonly graceMs: number
  /** Sessions whose marks are kept in memory; default 20,000. */
  readonly cachedSessions?: number
  /** Characters of a record, beyond which it is sealed; default 64,000. */
  readonly recordChars?: number
}

export interface SessionWatermarks {
  /** Entries up to here are trimmed; 0: none. */
  readonly trimmed: Seq
  /** Unix milliseconds at which that was written down; its entries go a grace later. */
  readonly markedAt: number
  /** Of subjects whose entries are all gone, or were when they were marked. */
  readonly lasts: ReadonlyMap<string, Seq>
}

interface Looked<T> {
  readonly value: T
  readonly at: number
}

interface MarkRecord {
  readonly number: number
  /** The record's own sequence number in its stream: what its next version expects. */
  readonly seq: Seq
  readonly text: string
}

const FORMAT = '1'
const UNMARKED: SessionWatermarks = { trimmed: 0, markedAt: 0, lasts: new Map() }
const WRITE_TRIES = 8

export class TrimWatermarks {
  readonly #options: TrimWatermarksOptions
  readonly #cached = new Map<string, Looked<SessionWatermarks>>()
  readonly #horizons = new Map<number, Looked<Seq>>()

  constructor(options: TrimWatermarksOptions) {
    this.#options = options
  }

  /** How long a look-up may be used. */
  get #goodMs(): number {
    return this.#options.graceMs / 3
  }

  /** @throws StorageError */
  async of(session: string, partition: number): Promise<SessionWatermarks> {
    if ((await this.horizon(partition)) === 0) return UNMARKED
    const known = this.#cached.get(session)
    if (known !== undefined && performance.now() - known.at < this.#goodMs) return known.value
    return this.look(session)
  }

  /** As they are now. @throws StorageError */
  async look(session: string): Promise<SessionWatermarks> {
    const at = performance.now()
    return this.#keep(session, read(await this.#records(session)), at)
  }

  /** No entry after it was ever trimmed in that partition, so that a place after it needs no look-up. @throws StorageError */
  async horizon(partition: number): Promise<Seq> {
    const known = this.#horizons.get(partition)
    const at = performance.now()
    if (known !== undefined && at - known.at < this.#goodMs) return known.value
    const { reader, stream } = this.#options
    const [message] = await reader.lasts(stream, [this.#horizonSubject(partition)])
    const value = message === undefined ? 0 : Number(textOf(message))
    this.#horizons.set(partition, { value, at })
    return value
  }

  /** Raises the horizon. It comes before the marks of sessions. @throws StorageError */
  async raise(partition: number, horizon: Seq): Promise<void> {
    const { publisher, reader, stream } = this.#options
    const subject = this.#horizonSubject(partition)
    for (let tries = 0; tries < WRITE_TRIES; tries++) {
      const [message] = await reader.lasts(stream, [subject])
      if (message !== undefined && Number(textOf(message)) >= horizon) break
      const outcome = await publisher.publish({ subject, payload: String(horizon), expect: message?.seq ?? 0 })
      if (outcome.stored !== undefined) break
    }
    this.#horizons.delete(partition)
  }

  /** Writes down what of a session will go. Idempotent. @throws StorageError, Conflict when others write all the time */
  async write(session: string, trimmed: Seq, lasts: ReadonlyMap<string, Seq>): Promise<void> {
    for (let tries = 0; tries < WRITE_TRIES; tries++) {
      if (await this.#tryWrite(session, trimmed, lasts)) {
        this.#cached.delete(session)
        return
      }
    }
    throw new Conflict(0)
  }

  async #tryWrite(session: string, trimmed: Seq, lasts: ReadonlyMap<string, Seq>): Promise<boolean> {
    const records = await this.#records(session)
    const known = read(records)
    const lines = [...lasts].filter(([subject, last]) => (known.lasts.get(subject) ?? 0) < last)
    if (lines.length === 0 && known.trimmed >= trimmed) return true
    const most = Math.max(trimmed, known.trimmed)
    const limit = this.#options.recordChars ?? 64_000
    let { number, seq, text } = records.at(-1) ?? { number: 0, seq: 0, text: '' }
    text = withTrimmed(text, most)
    for (const [subject, last] of lines) {
      if (text.length > limit) {
        if (!(await this.#put(session, number, seq, text))) return false
        number += 1
        seq = 0
        text = withTrimmed('', most)
      }
      text += `${subject}\t${last}\n`
    }
    return this.#put(session, number, seq, text)
  }

  async #put(session: string, number: number, expect: Seq, payload: string): Promise<boolean> {
    const subject = `${this.#sessionSubjects(session)}${number}`
    return (await this.#options.publisher.publish({ subject, payload, expect })).stored !== undefined
  }

  async #records(session: string): Promise<MarkRecord[]> {
    const { reader, stream } = this.#options
    const start = this.#sessionSubjects(session)
    const messages = await reader.lasts(stream, [`${start}*`])
    const records = messages.map((message) => {
      return { number: Number(message.subject.slice(start.length)), seq: message.seq, text: textOf(message) }
    })
    return records.sort((a, b) => a.number - b.number)
  }

  #keep(session: string, value: SessionWatermarks, at: number): SessionWatermarks {
    if (this.#goodMs > 0) {
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

function read(records: readonly MarkRecord[]): SessionWatermarks {
  if (records.length === 0) return UNMARKED
  let trimmed = 0
  let markedAt = 0
  const lasts = new Map<string, Seq>()
  for (const { text } of records) {
    const lines = text.split('\n')
    const [format, upTo, at] = (lines[0] as string).split('\t')
    if (format !== FORMAT) throw new Error(`the marks have format ${format}, which this version does not read`)
    trimmed = Math.max(trimmed, Number(upTo))
    markedAt = Math.max(markedAt, Number(at))
    for (let i = 1; i < lines.length - 1; i++) {
      const [subject, last] = (lines[i] as string).split('\t') as [string, string]
      lasts.set(subject, Math.max(lasts.get(subject) ?? 0, Number(last)))
    }
  }
  return { trimmed, markedAt, lasts }
}

function textOf(message: StoredMessage): string {
  return Buffer.from(message.data).toString()
}
