// Stream slots: the streams and long polls that all tabs of a browser may hold to one server at the same time. Over
// HTTP/1.1 a browser opens six connections to a server for all its tabs together; the others remain for commands,
// short polls and loading pages. A tab that is closed or crashes frees its slots.

const MAX_STREAMS = 4
/** How long a tab waits for the answers of the others, in milliseconds. */
const ANSWER_MS = 250

/**
 * Acquires a slot, without waiting for one. The client does it for its own streams; a page that opens streams to the same
 * server without the client calls it for each. Outside of browsers there is always one.
 * @param server its URL without a trailing `/`
 * @returns a function that releases the slot; undefined if none is free
 * @example
 * const release = await acquireStream('https://chat.example.com')
 */
export async function acquireStream(server: string): Promise<(() => void) | undefined> {
  const { locks } = globalThis.navigator ?? {}
  // A plain-HTTP page has no Web Locks. Other runtimes have neither tabs nor a limit.
  if (locks === undefined && globalThis.isSecureContext !== false) return () => undefined
  if (isMultiplexed(server)) return () => undefined
  if (locks === undefined) return otherTabs(server).acquire()
  for (let slot = 0; slot < MAX_STREAMS; slot += 1) {
    const release = await tryLock(locks, `parley.stream:${server}:${slot}`)
    if (release !== undefined) return release
  }
  return undefined
}

/** Whether one connection carries all requests (HTTP/2 and HTTP/3). Browsers do not tell it of other origins. */
function isMultiplexed(server: string): boolean {
  return (performance.getEntries() as PerformanceResourceTiming[]).some(
    ({ name, nextHopProtocol = '' }) => name.startsWith(`${server}/`) && /^h[23]/.test(nextHopProtocol),
  )
}

function tryLock(locks: LockManager, name: string): Promise<(() => void) | undefined> {
  return new Promise((resolve) => {
    const hold = (lock: Lock | null): Promise<void> | undefined => {
      if (lock !== null) return new Promise<void>((release) => resolve(release))
      resolve(undefined)
      return undefined
    }
    // A document that may not use locks, such as a sandboxed frame, has no other tabs to consider.
    locks.request(name, { ifAvailable: true }, hold).catch(() => resolve(() => undefined))
  })
}

const channels = new Map<string, OtherTabs>()

function otherTabs(server: string): OtherTabs {
  const tabs = channels.get(server) ?? new OtherTabs(server)
  channels.set(server, tabs)
  return tabs
}

/** Counts the streams by asking all tabs. Tabs that ask at the same time count each other. */
class OtherTabs {
  readonly #channel: BroadcastChannel
  /** Held or being acquired by this tab. */
  #own = 0
  #answers = { to: 0, sum: 0 }
  #asking: Promise<void> | undefined

  constructor(server: string) {
    this.#channel = new BroadcastChannel(`parley.stream:${server}`)
    this.#channel.onmessage = ({ data: [question, count] }: MessageEvent<[question: number, count?: number]>) => {
      if (count === undefined) {
        if (this.#own > 0) this.#channel.postMessage([question, this.#own])
      } else if (question === this.#answers.to) this.#answers.sum += count
    }
  }

  async acquire(): Promise<(() => void) | undefined> {
    this.#own += 1
    this.#asking ??= this.#ask()
    await this.#asking
    const release = (): void => {
      this.#own -= 1
    }
    if (this.#own + this.#answers.sum <= MAX_STREAMS) return release
    release()
    return undefined
  }

  async #ask(): Promise<void> {
    this.#answers = { to: Math.random(), sum: 0 }
    this.#channel.postMessage([this.#answers.to])
    await new Promise((resolve) => setTimeout(resolve, ANSWER_MS))
    this.#asking = undefined
  }
}
