// Reads the sequence number of a republished message from its `Nats-Sequence` header. Parsing all headers costs more
// than everything else that a follower does with a message (3 kB of garbage per token, and pauses to collect it). So
// this searches the raw bytes, and uses the client's parser only if the client's internals differ from what it expects.
import type { Msg } from '@nats-io/transport-node'
import type { Seq } from '../../ports/entry.ts'

const NAME = Buffer.from('\r\nNats-Sequence: ')
const ZERO = 0x30

/** Internals of the client's messages: headers and payload in one buffer; `hdr` is the length of the headers. */
interface Internals {
  readonly _rdata?: unknown
  readonly _msg?: { readonly hdr?: unknown }
}

/** @returns 0 without the header */
export function sequenceOf(message: Msg): Seq {
  const { _rdata: bytes, _msg: info } = message as unknown as Internals
  const end = info?.hdr
  if (!(bytes instanceof Uint8Array) || typeof end !== 'number') return parsedSequence(message)
  if (end <= 0) return 0
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, end)
  const at = head.indexOf(NAME)
  if (at < 0) return parsedSequence(message)
  let seq = 0
  for (let i = at + NAME.length; i < end; i += 1) {
    const digit = (head[i] as number) - ZERO
    if (digit < 0 || digit > 9) break
    seq = seq * 10 + digit
  }
  return seq
}

function parsedSequence(message: Msg): Seq {
  return Number(message.headers?.get('Nats-Sequence') ?? 0)
}
