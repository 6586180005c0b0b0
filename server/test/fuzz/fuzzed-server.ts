// FuzzedServer: a real server under random input, and the checks after each try: it runs, answers others, has logged no
// error, and its event loop never blocked.
import process from 'node:process'
import fc from 'fast-check'
import { ServerProcess } from '../../../bench/cluster/server-process.ts'
import { METRICS, Scrape } from '../scrape.ts'
import { StrictClient, TEST_SEED } from '../strict-client.ts'

/** The minutes of all files together. */
const MINUTES = Number(process.env.PARLEY_FUZZ_MINUTES ?? 10)
const FILES = 4
export const FUZZ_MS = (MINUTES * 60_000) / FILES
const STALL_SECONDS = 0.2
/** Longest time for an input, with the checks after it. */
const HANG_MS = 30_000
/** A busy machine delays a process, too, but not each time. */
const TRIES = 4

export class FuzzedServer {
  readonly server: ServerProcess
  #other: StrictClient
  #logged = 0

  private constructor(server: ServerProcess, other: StrictClient) {
    this.server = server
    this.#other = other
  }

  static async start(env: Readonly<Record<string, string>> = {}): Promise<FuzzedServer> {
    const server = await ServerProcess.start({
      ...METRICS,
      PARLEY_REQUEST_RATE: '100000',
      PARLEY_REQUEST_BURST: '100000',
      PARLEY_COMMAND_RATE: '100000',
      PARLEY_COMMAND_BURST: '100000',
      PARLEY_MAX_CONNECTIONS_PER_ADDRESS: '10000',
      PARLEY_BODY_MS: '2000',
      ...env,
    })
    return new FuzzedServer(server, await undisturbed(server))
  }

  get origin(): string {
    return `http://127.0.0.1:${this.server.port}`
  }

  /**
   * Tries inputs until the time is used up, and shrinks one that fails. @param attempt - sends an input to the server
   * @returns the number of inputs
   */
  async fuzz<T>(inputs: fc.Arbitrary<T>, attempt: (input: T) => Promise<void>): Promise<number> {
    let tried = 0
    const property = fc.asyncProperty(inputs, async (input) => {
      tried += 1
      await this.#answering(async () => {
        await this.#withoutStall(() => attempt(input))
        await this.#check()
      })
    })
    const bounds = { interruptAfterTimeLimit: FUZZ_MS, markInterruptAsFailure: false, numRuns: 1_000_000 }
    await fc.assert(property, { ...bounds, seed: TEST_SEED, endOnFailure: MINUTES < 1 })
    return tried
  }

  async dispose(): Promise<void> {
    this.#other.drop()
    await this.server.dispose()
  }

  /** Restarts a server that no longer answers, so that the input can be shrunk. */
  async #answering(work: () => Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const hung = new Promise<true>((resolve) => {
      timer = setTimeout(resolve, HANG_MS, true)
    })
    try {
      if ((await Promise.race([work(), hung])) !== true) return
    } finally {
      clearTimeout(timer)
    }
    await this.server.kill()
    await this.server.start()
    this.#other = await undisturbed(this.server)
    throw new Error(`the server did not answer within ${HANG_MS} ms`)
  }

  async #withoutStall(attempt: () => Promise<void>): Promise<void> {
    let lag = 0
    for (let tried = 0; tried < TRIES; tried += 1) {
      // Each scrape starts a new measurement.
      await Scrape.of(this.server.port)
      await attempt()
      lag = (await Scrape.of(this.server.port)).sum('nodejs_eventloop_lag_max_seconds')
      if (lag < STALL_SECONDS) return
    }
    throw new Error(`the event loop was blocked for ${lag.toFixed(3)} s`)
  }

  async #check(): Promise<void> {
    if (!this.server.alive) throw new Error(`the server has exited: ${this.server.logs.slice(-5).join('\n')}`)
    const { run = '' } = await this.#other.send('undisturbed', '/demo count=2 rate=0 ttft=0')
    const picture = await this.#other.ended('undisturbed', run)
    if (picture.text !== '0 1') throw new Error(`another client received ${JSON.stringify(picture.text)}`)
    const lines = this.server.logs.slice(this.#logged).filter((line) => /"level":"(error|fatal)"|unhandled/i.test(line))
    this.#logged = this.server.logs.length
    if (lines.length > 0) throw new Error(`the server logged ${lines[0]}`)
  }
}

async function undisturbed(server: ServerProcess): Promise<StrictClient> {
  const other = new StrictClient(server.url)
  await other.connect()
  await other.attach('undisturbed')
  return other
}
