// StreamWatch: asks after the streams every second, and when the connection comes back. It notices that JetStream cannot
// store (no leader, no majority, a stream that is gone, appends that stay without an answer), though the connection
// stands; and that the sessions' streams are not those that were opened: made anew, or restored and given a new epoch.
import type { JetStreamConnection } from '../connection.ts'

export interface StreamWatchOptions {
  readonly connection: Pick<JetStreamConnection, 'nats' | 'state'>
  /** Whose epochs count. */
  readonly sessions: readonly string[]
  /** That have to be there, too. */
  readonly others: readonly string[]
  /** Milliseconds for which the oldest append has had no answer. */
  readonly stalledMs: () => number
  /** Told after each look what is the matter, in words; undefined: nothing. */
  readonly looked: (problem: string | undefined) => void
  /** Called once: a sessions' stream has another epoch than it had at the first look. */
  readonly changed: (stream: string) => void
  /** Milliseconds between looks; default 1,000. */
  readonly intervalMs?: number
}

const INTERVAL_MS = 1_000
const ANSWER_MS = 3_000
/** An append is sent again after two seconds without an answer. */
const STALLED_MS = 2_500
/** A leader hears of its followers every second, also when nothing is stored. */
const SILENT_NANOS = 4e9

interface Answer {
  readonly error?: { readonly description?: string }
  readonly config?: { readonly metadata?: Record<string, string> }
  readonly cluster?: {
    readonly leader?: string
    readonly replicas?: readonly { readonly offline?: boolean; readonly active?: number }[]
  }
}

export class StreamWatch {
  readonly #options: StreamWatchOptions
  readonly #epochs = new Map<string, string>()
  readonly #timer: NodeJS.Timeout
  #looks = 0
  /** The last look that was answered. */
  #answered = 0
  #changed = false
  #closed = false

  /** Learns the epochs. */
  constructor(options: StreamWatchOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.look(), options.intervalMs ?? INTERVAL_MS).unref()
    this.look()
  }

  /** Compares with what was seen first. */
  look(): void {
    const { connection, sessions, others } = this.#options
    // Then there is nothing to learn, and the next look is when it is back.
    if (connection.state !== 'live') return
    this.#looks += 1
    const look = this.#looks
    const asked = Promise.all([...sessions, ...others].map((stream) => this.#problemOf(stream)))
    // None of them rejects.
    void asked.then((problems) => {
      // A later one has been answered, or the connection went meanwhile.
      if (this.#closed || look < this.#answered || connection.state !== 'live') return
      this.#answered = look
      const stalled = this.#options.stalledMs() > STALLED_MS ? 'appends have no answer' : undefined
      this.#options.looked(problems.find((problem) => problem !== undefined) ?? stalled)
    })
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
  }

  async #problemOf(stream: string): Promise<string | undefined> {
    let answer: Answer
    try {
      const reply = await this.#options.connection.nats.request(`$JS.API.STREAM.INFO.${stream}`, '', {
        timeout: ANSWER_MS,
      })
      answer = reply.json<Answer>()
    } catch (error) {
      return `${stream}: ${error instanceof Error ? error.message : 'unknown'}`
    }
    if (answer.error !== undefined) return `${stream}: ${answer.error.description ?? 'an error'}`
    this.#compare(stream, answer.config?.metadata?.parley_epoch)
    return hasMajority(answer) ? undefined : `${stream}: its leader has no majority`
  }

  #compare(stream: string, epoch: string | undefined): void {
    if (epoch === undefined || !this.#options.sessions.includes(stream)) return
    const known = this.#epochs.get(stream)
    if (known === undefined) this.#epochs.set(stream, epoch)
    else if (known !== epoch && !this.#changed) {
      this.#changed = true
      this.#options.changed(stream)
    }
  }
}

/** A leader that is cut off answers on for some seconds: what it says of its followers shows it. */
function hasMajority({ cluster }: Answer): boolean {
  const { replicas = [] } = cluster ?? {}
  const here = replicas.filter(({ offline, active = 0 }) => offline !== true && active < SILENT_NANOS).length
  return (here + 1) * 2 > replicas.length + 1
}
