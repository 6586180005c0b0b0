// The number that the server gave to a message which it republished: in a header. Taking all headers of a message apart
// costs more than all else that a follower does with it (3 kB of garbage for each token, and pauses to collect
// that), so the one is looked for in the bytes as they came. Should the client's insides change, it is asked for them.
import type { Msg } from '@nats-io/transport-node'
import type { Seq } from '../../ports/entry.ts'

const NAME = Buffer.from('\r\nNats-Sequence: ')
const ZERO = 0x30

/** What the client keeps of a message: its headers, up to `hdr`, and its payload, in one piece. */
interface Insides {
  readonly _rdata?: unknown
  readonly _msg?: { readonly hdr?: unknown }
}

/** @returns 0 when it has none */
export function sequenceOf(message: Msg): Seq {
  const { _rdata: bytes, _msg: about } = message as unknown as Insides
  const end = about?.hdr
  if (!(bytes instanceof Uint8Array) || typeof end !== 'number') return asked(message)
  if (end <= 0) return 0
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, end)
  const at = head.indexOf(NAME)
  if (at < 0) return asked(message)
  let seq = 0
  for (let i = at + NAME.length; i < end; i += 1) {
    const digit = (head[i] as number) - ZERO
    if (digit < 0 || digit > 9) break
    seq = seq * 10 + digit
  }
  return seq
}

function asked(message: Msg): Seq {
  return Number(message.headers?.get('Nats-Sequence') ?? 0)
}
