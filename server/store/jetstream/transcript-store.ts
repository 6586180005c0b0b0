// JetStreamTranscriptStore: one head message a session, replaced by compare-and-append, so that a save is one step. What
// does not fit beside it, the sealed segments and a very large body, is stored before the head, under names that no
// other save uses, and is true only because the head names it: a save that lost, or died, leaves nothing that is read.
//
//   <prefix>.transcript.<session>                        the head: revision, cursor, names of segments, and the body
//   <prefix>.transcript.<session>.<save>.<n>.<part>      segment n, as that save sealed it
//   <prefix>.transcript.<session>.<save>.body.<part>     the body of that save, when it is too large for one message
import { randomBytes } from 'node:crypto'
import { type Cursor, parseCursor } from '@parley/protocol'
import type { Logger } from 'pino'
import type { Seq } from '../ports/entry.ts'
import { presently } from '../ports/epoch.ts'
import { Conflict, StorageError } from '../ports/errors.ts'
import type { Subscription } from '../ports/session-log.ts'
import type { FoldedEntry, Transcript, TranscriptStore } from '../ports/transcript-store.ts'
import type { JetStreamConnection } from './connection.ts'
import { DirectReader } from './log/direct-reader.ts'
import { Publisher } from './log/publisher.ts'
import { escapeToken, type StoredMessage } from './log/record.ts'
import { purge } from './maintenance/purge.ts'
import type { Streams } from './streams.ts'

export interface JetStreamTranscriptStoreOptions {
  readonly connection: JetStreamConnection
  readonly streams: Streams
  readonly logger: Logger
}

/** Where a text lies: `<save>/<parts>`. */
type Place = string

interface Head {
  /** Of its message. */
  readonly seq: Seq
  readonly revision: number
  readonly cursor: string
  /** The save that wrote it. */
  readonly save: string
  /** How many messages the body lies in; 0: in the head's own. */
  readonly parts: number
  readonly body: string
}

interface Body extends Omit<Transcript, 'revision' | 'cursor'> {
  readonly segments: readonly Place[]
}

/** What a save has to know of the one before it. */
interface Known extends Pick<Head, 'seq' | 'revision' | 'cursor' | 'save' | 'parts'> {
  readonly segments: readonly Place[]
}

const FORMAT = '1'
/** Sessions whose last head is remembered, so that a save need not read it again. */
const KNOWN_MAX = 10_000
/** For the headers and the head's own fields. */
const SPARE_BYTES = 4 * 1024
/** A UTF-16 code unit takes three bytes of UTF-8 at most. */
const UNIT_BYTES = 3
/** A server that answers a Direct Get may lag, and a body may be replaced while it is read. */
const TRIES = 100
const LAG_MS = 20
const PURGE_MS = 5_000

export class JetStreamTranscriptStore implements TranscriptStore {
  readonly #options: JetStreamTranscriptStoreOptions
  readonly #publisher: Publisher
  readonly #reader: DirectReader
  readonly #states: Subscription
  readonly #known = new Map<string, Known>()
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
    // What this node saved, it reads: the one that answered lags.
    const known = this.#known.get(session)
    if (known !== undefined && (head?.revision ?? 0) < known.revision) head = await this.#current(session)
    const found = await this.#open(session, head)
    if (found === undefined) return undefined
    const { segments: _, ...body } = found.body
    return {
      ...body,
      revision: found.head.revision,
      cursor: presently(this.#options.streams.epochs, found.head.cursor),
    }
  }

  async segment(session: string, number: number): Promise<readonly FoldedEntry[] | undefined> {
    // A sealed segment keeps its place for good.
    let place = this.#known.get(session)?.segments[number]
    place ??= (await this.#open(session, await this.#read(session)))?.body.segments[number]
    if (place === undefined) return undefined
    const text = await this.#text(this.#name(session, place, `${number}`), partsOf(place))
    if (text === undefined) throw new StorageError('unavailable', 'a segment is not there')
    return JSON.parse(text) as readonly FoldedEntry[]
  }

  async save(
    session: string,
    transcript: Omit<Transcript, 'revision'>,
    expect: number,
    sealing: readonly (readonly FoldedEntry[])[] = [],
  ): Promise<void> {
    if (this.#closed) throw new StorageError('unavailable')
    let known = this.#known.get(session)
    if (known?.revision !== expect) known = await this.#know(session)
    if ((known?.revision ?? 0) !== expect) throw new Conflict(known?.revision ?? 0)
    const save = randomBytes(6).toString('base64url')
    const { cursor, ...rest } = transcript
    const first = transcript.sealed - sealing.length
    const segments: Place[] = [...(known?.segments ?? [])]
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
      // An answer may have been lost: what won may be this very save.
      const won = await this.#know(session)
      if (won?.save !== save) {
        if (sealing.length > 0 || !inline) this.#purge(`${subject}.${save}.>`)
        throw new Conflict(won?.revision ?? 0)
      }
    }
    // Whoever reads it now finds it gone, and reads the new head.
    if (known !== undefined && known.parts > 0) this.#purge(`${this.#name(session, known.save, 'body')}.*`)
  }

  async purge(session: string, cursor?: Cursor): Promise<void> {
    if (this.#closed) throw new StorageError('unavailable')
    const { connection, streams } = this.#options
    const subject = this.#subject(session)
    if (cursor !== undefined) await this.#empty(session, cursor)
    else await purge(connection.nats, streams.transcripts, { filter: subject })
    this.#known.delete(session)
    await purge(connection.nats, streams.transcripts, { filter: `${subject}.>` })
  }

  /** How far the session's transcript goes in this epoch; 0 when there is none. @throws StorageError */
  async covered(session: string, epoch: string): Promise<Seq> {
    const position = parseCursor(presently(this.#options.streams.epochs, (await this.#read(session))?.cursor ?? ''))
    return position?.epoch === epoch ? position.seq : 0
  }

  /** Waits for saves that are under way; later ones are refused. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#publisher.close()
    this.#reader.close()
    this.#states.close()
  }

  /** Puts an empty transcript into the place of whatever is there. */
  async #empty(session: string, cursor: Cursor): Promise<void> {
    const body = JSON.stringify({ sealed: 0, entries: [], commands: [], segments: [] } satisfies Body)
    for (let attempt = 1; attempt <= TRIES; attempt++) {
      const head = await this.#current(session)
      const payload = [FORMAT, (head?.revision ?? 0) + 1, cursor, 'none', 0, body].join('\t')
      const { stored } = await this.#publisher.publish({
        subject: this.#subject(session),
        payload,
        expect: head?.seq ?? 0,
      })
      if (stored !== undefined) return
    }
    throw new StorageError('unavailable', 'others save all the time')
  }

  get #maxBytes(): number {
    return this.#options.connection.maxPayload - SPARE_BYTES
  }

  #subject(session: string): string {
    return `${this.#options.streams.prefix}.transcript.${escapeToken(session)}`
  }

  /** @param place of a segment, or the save of a body */
  #name(session: string, place: Place, what: string): string {
    return `${this.#subject(session)}.${place.split('/')[0]}.${what}`
  }

  /** As a server has it that may lag. */
  async #read(session: string): Promise<Head | undefined> {
    const [message] = await this.#reader.lasts(this.#options.streams.transcripts, [this.#subject(session)])
    return message === undefined ? undefined : readHead(message)
  }

  /** As the stream's leader has it. */
  async #current(session: string): Promise<Head | undefined> {
    const subject = this.#subject(session)
    for (let attempt = 1; attempt <= TRIES; attempt++) {
      const seq = await this.#publisher.ask(subject, subject)
      if (seq === 0) return undefined
      const message = await this.#reader.message(this.#options.streams.transcripts, seq)
      if (message !== undefined) return readHead(message)
      await delay(LAG_MS)
    }
    throw new StorageError('unavailable', 'the servers lag')
  }

  /** The head's body, wherever it lies; of a newer head when it was replaced meanwhile. */
  async #open(session: string, head: Head | undefined): Promise<{ head: Head; body: Body } | undefined> {
    let now = head
    for (let attempt = 1; attempt <= TRIES; attempt++) {
      if (now === undefined) return undefined
      const text = now.parts === 0 ? now.body : await this.#text(this.#name(session, now.save, 'body'), now.parts)
      if (text !== undefined) {
        const body = JSON.parse(text) as Body
        this.#remember(session, { ...now, segments: body.segments })
        return { head: now, body }
      }
      await delay(LAG_MS)
      now = await this.#current(session)
    }
    throw new StorageError('unavailable', 'a transcript is not there')
  }

  async #know(session: string): Promise<Known | undefined> {
    const head = await this.#current(session)
    // It was purged as a whole since.
    if (head === undefined) this.#known.delete(session)
    await this.#open(session, head)
    return this.#known.get(session)
  }

  #remember(session: string, { seq, revision, cursor, save, parts, segments }: Known): void {
    const known = this.#known.get(session)
    if (known !== undefined && known.seq > seq) return
    this.#known.delete(session)
    this.#known.set(session, { seq, revision, cursor, save, parts, segments })
    const [oldest] = this.#known.keys()
    if (this.#known.size > KNOWN_MAX && oldest !== undefined) this.#known.delete(oldest)
  }

  /** @returns in how many messages */
  async #store(name: string, text: string): Promise<number> {
    const parts = [...pieces(text, Math.floor(this.#maxBytes / UNIT_BYTES))]
    await Promise.all(
      parts.map((payload, i) => this.#publisher.publish({ subject: `${name}.${i}`, payload, expect: 0 })),
    )
    return parts.length
  }

  /** Undefined when not all of it is there. */
  async #text(name: string, parts: number): Promise<string | undefined> {
    const messages = await this.#reader.lasts(this.#options.streams.transcripts, [`${name}.*`])
    const texts = new Map(messages.map(({ subject, data }) => [subject, Buffer.from(data).toString()]))
    const found = Array.from({ length: parts }, (_, i) => texts.get(`${name}.${i}`))
    return found.includes(undefined) ? undefined : found.join('')
  }

  /** Of what nobody reads any more: should it stay, it costs space and nothing else. */
  #purge(filter: string): void {
    const { connection, streams, logger } = this.#options
    connection.nats
      .request(`$JS.API.STREAM.PURGE.${streams.transcripts}`, JSON.stringify({ filter }), { timeout: PURGE_MS })
      .catch((error: unknown) => logger.debug({ err: error }, 'an unused part of a transcript stays'))
  }
}

/** How far the transcript in a head message goes. */
export function cursorOfHead(message: Pick<StoredMessage, 'seq' | 'data'>): string {
  return readHead(message).cursor
}

function readHead({ seq, data }: Pick<StoredMessage, 'seq' | 'data'>): Head {
  const text = Buffer.from(data).toString()
  const fields: string[] = []
  let from = 0
  for (let i = 0; i < 5; i++) {
    const tab = text.indexOf('\t', from)
    if (tab < 0) throw new Error('a message of the transcripts is none of this version')
    fields.push(text.slice(from, tab))
    from = tab + 1
  }
  const [format, revision, cursor, save, parts] = fields as [string, string, string, string, string]
  if (format !== FORMAT) throw new Error(`a transcript has format ${format}, which this version does not read`)
  return { seq, revision: Number(revision), cursor, save, parts: Number(parts), body: text.slice(from) }
}

function partsOf(place: Place): number {
  return Number(place.split('/')[1])
}

/** Never between the halves of a character. */
function* pieces(text: string, size: number): Generator<string> {
  let from = 0
  while (from < text.length) {
    let to = Math.min(from + size, text.length)
    if (to < text.length && /[\uD800-\uDBFF]/.test(text[to - 1] as string)) to -= 1
    yield text.slice(from, to)
    from = to
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
