// The subject for acknowledgements of a delivered message. Anybody may publish on it, and JetStream identifies the message
// by its number in the stream alone.

export interface Ack {
  /** The names of the stream and the consumer, separated by a dot. */
  readonly consumer: string
  /** The message's sequence number in its stream. */
  readonly message: number
  /** 1 for the first delivery. */
  readonly attempt: number
}

/** Without spaces, control characters and wildcards, because other nodes publish on the subject. */
const SUBJECT = /^\$JS\.ACK\.[^\s*>\p{Cc}]+$/u
const NUMBER = /^[1-9]\d{0,15}$/

/** @returns undefined if the subject has another form */
export function parseAck(subject: string): Ack | undefined {
  if (!SUBJECT.test(subject)) return undefined
  // $JS.ACK.<stream>.<consumer>.<attempt>.<message>.… or, with a domain and an account,
  // $JS.ACK.<domain>.<account>.<stream>.<consumer>.<attempt>.<message>.…
  const tokens = subject.split('.')
  if (tokens.length !== 9 && tokens.length < 11) return undefined
  const at = tokens.length === 9 ? 2 : 4
  const [stream, consumer, attempt = '', message = ''] = tokens.slice(at, at + 4)
  if (!NUMBER.test(attempt) || !NUMBER.test(message)) return undefined
  return { consumer: `${stream}.${consumer}`, message: Number(message), attempt: Number(attempt) }
}
