// JetStreamTranscriptStore: one head message per session, replaced by compare-and-append, so that a save is atomic.
// Segments and very large bodies are stored before the head, under names that no other save uses, and are valid only if
// the head names them. So a save that lost the compare, or crashed, leaves nothing that is read.
//
//   <prefix>.transcript.<session>                        the head: revision, cursor, names of segments, and the body
//   <prefix>.transcript.<session>.<save>.<n>.<part>      segment n, stored by that save
//   <prefix>.transcript.<session>.<save>.body.<part>     the body of that save, if it is too large for one message
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Cursor, parseCursor } from '@parley/protocol'
import type { Logger } from 'pino'
import type { Seq } from '../ports/entry.ts'
import { withCurrentEpoch } from '../ports/epoch.ts'
import { Conflict, StorageError } from '../ports/errors.ts'
import type { Subscription } from '../ports/session-log.ts'
import type { CompactedEntry, Transcript, TranscriptStore } from '../ports/transcript-store.ts'
import type { JetStreamConnection } from './connection.ts'
import { DirectReader } from './log/direct-reader.ts'
import { Publisher } from './log/publisher.ts'
import { escapeToken, type StoredMessage, splitFields } from './log/record.ts'
import { purge } from './maintenance/purge.ts'
import type { Streams } from './streams.ts'

export interface JetStreamTranscriptStoreOptions {
  readonly connection: JetStreamConnection
  readonly streams: Streams
  readonly logger: Logger
}

/** Names a stored text: `<save>/<parts>`. */
type Location = string

interface Head {
  /** The sequence number of its message. */
  readonly seq: Seq
  readonly revision: number
  readonly cursor: string
  /** The save that wrote it. */
  readonly save: string
  /** The number of messages that store the body; 0: the head contains it. */
  readonly parts: number
  readonly body: string
}

interface Body extends Omit<Transcript, 'revision' | 'cursor'> {
  readonly segments: readonly Location[]
}

/** What a save needs to know about the previous one. */
interface KnownHead extends Pick<Head, 'seq' | 'revision' | 'cursor' | 'save' | 'parts'> {
  readonly segments: readonly Location[]
}

const FORMAT = '1'
/** Sessions whose last head is cached, so that a save need not read it again. */
const KNOWN_MAX = 10_000
/** Reserved for the message's headers and the head's own fields. */
const HEAD_BYTES = 4 * 1024
/** A UTF-16 code unit takes at most three bytes of UTF-8. */
const UNIT_BYTES = 3
/** Attempts of a read: the answering server may lag, and a body may be replaced during the read. */
const ATTEMPTS = 100
const LAG_MS = 20
const PURGE_MS = 5_000

export class JetStreamTranscriptStore implements TranscriptStore {
  readonly #options: JetStreamTranscriptStoreOptions
  readonly #publisher: Publisher
  readonly #reader: DirectReader
  readonly #states: Subscription
  readonly #known = new Map<string, KnownHead>()
  #closed = false

  constructor(options: JetStreamTranscriptStoreOptions) {
    const { connection, logger } = options
    this.#options = options
    this.#publisher = new Publisher(connection.nats, logger)
    this.#reader = new DirectReader(connection.nats)
    this.#states = connection.onState((state) => {
      if (state !== 'live') return this.#publisher.pause()
      this.#reader.interrupt()
      this.#publisher.resume()
    })
  }

  async load(session: string): Promise<Transcript | undefined> {
    let head = await this.#read(session)
    // A node always reads its own saves: an older revision comes from a lagging server.
    const known = this.#known.get(session)
    if (known !== undefined && (head?.revision ?? 0) < known.revision) head = await this.#readFromLeader(session)
    const found = await this.#loadBody(session, head)
    if (found === undefined) return undefined
    const { segments: _, ...body } = found.body
    return {
      ...body,
      revision: found.head.revision,
      cursor: withCurrentEpoch(this.#options.streams.epochs, found.head.cursor),
    }
  }

  async segment(session: string, number: number): Promise<readonly CompactedEntry[] | undefined> {
    // The location of a segment never changes.
    let location = this.#known.get(session)?.segments[number]
    location ??= (await this.#loadBody(session, await this.#read(session)))?.body.segments[number]
    if (location === undefined) return undefined
    const text = await this.#text(this.#name(session, location, `${number}`), partsOf(location))
    if (text === undefined) throw new StorageError('unavailable', 'a segment of the transcript is missing')
    return JSON.parse(text) as readonly CompactedEntry[]
  }

  async save(
    session: string,
    transcript: Omit<Transcript, 'revision'>,
    expect: number,
    sealing: readonly (readonly CompactedEntry[])[] = [],
  ): Promise<void> {
    if (this.#closed) throw new StorageError('unavailable')
    let known = this.#known.get(session)
    if (known?.revision !== expect) known = await this.#refresh(session)
    if ((known?.revision ?? 0) !== expect) throw new Conflict(known?.revision ?? 0)
    const save = randomBytes(6).toString('base64url')
    const { cursor, ...rest } = transcript
    const first = transcript.sealed - sealing.length
    const segments: Location[] = [...(known?.segments ?? [])]
    await Promise.all(
      sealing.map(async (entries, i) => {
        const parts = await this.#store(this.#name(session, save, `${first + i}`), JSON.stringify(entries))
        segments[first + i] = `${save}/${parts}`
      }),
    )
    const body = JSON.stringify({ ...rest, segments } satisfies Body)
    const inline = Buffer.byteLength(body) <= this.#maxBytes
    const parts = inline ? 0 : await this.#store(this.#name(session, save, 'body'), body)
    const payload = [FORMAT, expect + 1, cursor, save, parts, inline ? body : ''].join('\t')
    const subject = this.#subject(session)
    const outcome = await this.#publisher.publish({ subject, payload, expect: known?.seq ?? 0 })
    const saved = { revision: expect + 1, cursor, save, parts, segments }
    if (outcome.stored !== undefined) this.#remember(session, { seq: outcome.stored, ...saved })
    else {
      // The acknowledgement may have been lost, so this save may be the winner.
      const winner = await this.#refresh(session)
      if (winner?.save !== save) {
        if (sealing.length > 0 || !inline) this.#purgeUnused(`${subject}.${save}.>`)
        throw new Conflict(winner?.revision ?? 0)
      }
    }
    // A reader that finds the old body missing reads the new head.
    if (known !== undefined && known.parts > 0) this.#purgeUnused(`${this.#name(session, known.save, 'body')}.*`)
  }

  async purge(session: string, cursor?: Cursor): Promise<void> {
    if (this.#closed) throw new StorageError('unavailable')
    const { connection, streams } = this.#options
    const subject = this.#subject(session)
    if (cursor !== undefined) await this.#replaceByEmpty(session, cursor)
    else await purge(connection.nats, streams.transcripts, { filter: subject })
    this.#known.delete(session)
    await purge(connection.nats, streams.transcripts, { filter: `${subject}.>` })
  }

  /** The last entry that the transcript covers, in this epoch; 0 without a transcript. @throws StorageError */
  async covered(session: string, epoch: string): Promise<Seq> {
    const position = parseCursor(
      withCurrentEpoch(this.#options.streams.epochs, (await this.#read(session))?.cursor ?? ''),
    )
    return position?.epoch === epoch ? position.seq : 0
  }

  /** Rejects new saves, and waits for those in progress. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#publisher.close()
    this.#reader.close()
    this.#states.close()
  }

  /** Replaces the transcript by an empty one. */
  async #replaceByEmpty(session: string, cursor: Cursor): Promise<void> {
    const body = JSON.stringify({ sealed: 0, entries: [], commands: [], segments: [] } satisfies Body)
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const head = await this.#readFromLeader(session)
      const payload = [FORMAT, (head?.revision ?? 0) + 1, cursor, 'none', 0, body].join('\t')
      const { stored } = await this.#publisher.publish({
        subject: this.#subject(session),
        payload,
        expect: head?.seq ?? 0,
      })
      if (stored !== undefined) return
    }
    throw new StorageError('unavailable', 'other saves won every attempt')
  }

  get #maxBytes(): number {
    return this.#options.connection.maxPayload - HEAD_BYTES
  }

  #subject(session: string): string {
    return `${this.#options.streams.prefix}.transcript.${escapeToken(session)}`
  }

  /** @param location of a segment, or the save of a body */
  #name(session: string, location: Location, content: string): string {
    return `${this.#subject(session)}.${location.split('/')[0]}.${content}`
  }

  /** Reads the head from any server, which may lag. */
  async #read(session: string): Promise<Head | undefined> {
    const [message] = await this.#reader.lastBySubject(this.#options.streams.transcripts, [this.#subject(session)])
    return message === undefined ? undefined : readHead(message)
  }

  /** Reads the current head, as known by the stream's leader. */
  async #readFromLeader(session: string): Promise<Head | undefined> {
    const subject = this.#subject(session)
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const seq = await this.#publisher.lastSeq(subject, subject)
      if (seq === 0) return undefined
      const message = await this.#reader.message(this.#options.streams.transcripts, seq)
      if (message !== undefined) return readHead(message)
      await sleep(LAG_MS)
    }
    throw new StorageError('unavailable', 'the servers lag behind the leader')
  }

  /** Loads the head's body; if it was replaced meanwhile, loads the newer head and its body. */
  async #loadBody(session: string, head: Head | undefined): Promise<{ head: Head; body: Body } | undefined> {
    let current = head
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      if (current === undefined) return undefined
      const { parts, save } = current
      const text = parts === 0 ? current.body : await this.#text(this.#name(session, save, 'body'), parts)
      if (text !== undefined) {
        const body = JSON.parse(text) as Body
        this.#remember(session, { ...current, segments: body.segments })
        return { head: current, body }
      }
      await sleep(LAG_MS)
      current = await this.#readFromLeader(session)
    }
    throw new StorageError('unavailable', 'the body of a transcript is missing')
  }

  async #refresh(session: string): Promise<KnownHead | undefined> {
    const head = await this.#readFromLeader(session)
    // The transcript was purged meanwhile.
    if (head === undefined) this.#known.delete(session)
    await this.#loadBody(session, head)
    return this.#known.get(session)
  }

  #remember(session: string, { seq, revision, cursor, save, parts, segments }: KnownHead): void {
    const known = this.#known.get(session)
    if (known !== undefined && known.seq > seq) return
    this.#known.delete(session)
    this.#known.set(session, { seq, revision, cursor, save, parts, segments })
    const [oldest] = this.#known.keys()
    if (this.#known.size > KNOWN_MAX && oldest !== undefined) this.#known.delete(oldest)
  }

  /** @returns the number of messages */
  async #store(name: string, text: string): Promise<number> {
    const parts = [...splitText(text, Math.floor(this.#maxBytes / UNIT_BYTES))]
    await Promise.all(
      parts.map((payload, i) => this.#publisher.publish({ subject: `${name}.${i}`, payload, expect: 0 })),
    )
    return parts.length
  }

  /** Undefined if a part is missing. */
  async #text(name: string, parts: number): Promise<string | undefined> {
    const messages = await this.#reader.lastBySubject(this.#options.streams.transcripts, [`${name}.*`])
    const texts = new Map(messages.map(({ subject, data }) => [subject, Buffer.from(data).toString()]))
    const found = Array.from({ length: parts }, (_, i) => texts.get(`${name}.${i}`))
    return found.includes(undefined) ? undefined : found.join('')
  }

  /** Purges parts that nothing refers to. If it fails, they only waste space. */
  #purgeUnused(filter: string): void {
    const { connection, streams, logger } = this.#options
    connection.nats
      .request(`$JS.API.STREAM.PURGE.${streams.transcripts}`, JSON.stringify({ filter }), { timeout: PURGE_MS })
      .catch((error: unknown) => logger.debug({ err: error }, 'failed to delete an unused part of a transcript'))
  }
}

/** The cursor up to which the transcript of a head message covers its session. */
export function cursorOfHead(message: Pick<StoredMessage, 'seq' | 'data'>): string {
  return readHead(message).cursor
}

function readHead({ seq, data }: Pick<StoredMessage, 'seq' | 'data'>): Head {
  const { fields, body } = splitFields(data, 5)
  const [format, revision, cursor, save, parts] = fields as [string, string, string, string, string]
  if (format !== FORMAT) throw new Error(`unsupported format of a transcript: ${format}`)
  return { seq, revision: Number(revision), cursor, save, parts: Number(parts), body }
}

function partsOf(location: Location): number {
  return Number(location.split('/')[1])
}

/** Splits a text, but never between the two halves of a surrogate pair. */
function* splitText(text: string, size: number): Generator<string> {
  let from = 0
  while (from < text.length) {
    let to = Math.min(from + size, text.length)
    if (to < text.length && /[\uD800-\uDBFF]/.test(text[to - 1] as string)) to -= 1
    yield text.slice(from, to)
    from = to
  }
}
