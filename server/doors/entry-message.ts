// EntryMessage: entries as one WebSocket message, a frame or an array of frames. Written once per codec for
// all readers of a session; as JSON it is spliced around the text that the log holds, which is not parsed.
import { type CodecName, msgpackCodec } from '@parley/protocol'
import type { Seq } from '../log/entry.ts'
import type { Shown } from '../session/shown.ts'

export type MessageData = string | Uint8Array

export class EntryMessage {
  readonly #session: string
  readonly #epoch: string
  readonly #shown: readonly Shown[]
  readonly #shared: boolean
  #json: MessageData | undefined
  #msgpack: MessageData | undefined

  /** @param shared many are sent it: then its UTF-8 is made once here, and not for each of them in uWS */
  constructor(session: string, epoch: string, shown: readonly Shown[], shared = false) {
    this.#session = session
    this.#epoch = epoch
    this.#shown = shown
    this.#shared = shared
  }

  /** Nothing is to be sent. */
  get empty(): boolean {
    return this.#shown.length === 0
  }

  in(codec: CodecName): MessageData {
    if (codec === 'json') {
      if (this.#json === undefined) {
        const text = entriesAsJson(this.#session, this.#epoch, this.#shown)
        this.#json = this.#shared ? Buffer.from(text) : text
      }
      return this.#json
    }
    this.#msgpack ??= entriesAsMsgpack(this.#session, this.#epoch, this.#shown)
    return this.#msgpack
  }
}

/** Entries that readers who had everything before them are sent, and where they stand then. */
export interface LiveBatch {
  readonly message: EntryMessage
  readonly position: Seq
}

function entriesAsJson(session: string, epoch: string, shown: readonly Shown[]): string {
  // Ids and epochs are of A-Z a-z 0-9 _ - and need no escapes.
  const head = `{"type":"entry","session":"${session}","cursor":"${epoch}.`
  let text = ''
  for (const { seq, time, json } of shown) {
    text += `${text === '' ? '' : ','}${head}${seq}","time":${time},"event":${json}}`
  }
  return shown.length === 1 ? text : `[${text}]`
}

function entriesAsMsgpack(session: string, epoch: string, shown: readonly Shown[]): Uint8Array {
  const frames = shown.map(({ seq, time, json }) => ({
    type: 'entry',
    session,
    cursor: `${epoch}.${seq}`,
    time,
    event: JSON.parse(json),
  }))
  return msgpackCodec.encode(frames.length === 1 ? frames[0] : frames) as Uint8Array
}
