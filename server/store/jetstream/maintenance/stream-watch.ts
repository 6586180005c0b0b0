// StreamWatch: checks the streams every second and after each reconnect. It detects that JetStream cannot store
// although NATS is connected (no leader, no majority, a missing stream, unacknowledged appends), and that a session
// stream has another epoch than at the start, because it was recreated or restored.
import type { JetStreamConnection } from '../connection.ts'

export interface StreamWatchOptions {
  readonly connection: Pick<JetStreamConnection, 'nats' | 'state'>
  /** The session streams, whose epochs are compared. */
  readonly sessions: readonly string[]
  /** Other streams that must exist. */
  readonly others: readonly string[]
  /** Milliseconds for which the oldest append has not been acknowledged. */
  readonly stalledMs: () => number
  /** Called after each check with a description of the problem, if there is one. */
  readonly onChecked: (problem: string | undefined) => void
  /** Called once, when a session stream has another epoch than at the first check. */
  readonly onEpochChanged: (stream: string) => void
  /** Milliseconds between checks; default 1,000. */
  readonly intervalMs?: number
}

const INTERVAL_MS = 1_000
const ANSWER_MS = 3_000
/** Longer than the publisher waits before it sends an append again. */
const STALLED_MS = 2_500
/** A leader gets a heartbeat of each follower every second. */
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
  #checks = 0
  /** Number of the last completed check. */
  #completed = 0
  #changed = false
  #closed = false

  /** The first check learns the epochs. */
  constructor(options: StreamWatchOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.check(), options.intervalMs ?? INTERVAL_MS).unref()
    this.check()
  }

  check(): void {
    const { connection, sessions, others } = this.#options
    // The connection's owner calls `check` after the reconnect.
    if (connection.state !== 'live') return
    this.#checks += 1
    const check = this.#checks
    const checked = Promise.all([...sessions, ...others].map((stream) => this.#problemOf(stream)))
    // `#problemOf` never rejects.
    void checked.then((problems) => {
      // A later check has completed, or the connection was lost meanwhile.
      if (this.#closed || check < this.#completed || connection.state !== 'live') return
      this.#completed = check
      const stalled = this.#options.stalledMs() > STALLED_MS ? 'appends are not acknowledged' : undefined
      this.#options.onChecked(problems.find((problem) => problem !== undefined) ?? stalled)
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
    return hasMajority(answer) ? undefined : `${stream}: the leader has no majority`
  }

  #compare(stream: string, epoch: string | undefined): void {
    if (epoch === undefined || !this.#options.sessions.includes(stream)) return
    const known = this.#epochs.get(stream)
    if (known === undefined) this.#epochs.set(stream, epoch)
    else if (known !== epoch && !this.#changed) {
      this.#changed = true
      this.#options.onEpochChanged(stream)
    }
  }
}

/** A leader without connection to its followers still answers for some seconds, but it reports them as silent. */
function hasMajority({ cluster }: Answer): boolean {
  const { replicas = [] } = cluster ?? {}
  const reachable = replicas.filter(({ offline, active = 0 }) => offline !== true && active < SILENT_NANOS).length
  return (reachable + 1) * 2 > replicas.length + 1
}
