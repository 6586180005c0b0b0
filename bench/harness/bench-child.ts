// BenchChild: a process of a benchmark, with request–response messages, one at a time.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

export interface BenchChildOptions {
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Writes a .cpuprofile to the working directory. */
  readonly profile?: boolean
  /** V8's semi-space in MB; `npm start` uses 32. */
  readonly semiSpace?: number
  /** Starts with the young generation at its maximum size. */
  readonly fullYoung?: boolean
}

/** No child outlives the benchmark. */
const alive = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

export class BenchChild<To, From> {
  readonly process: ChildProcess
  readonly #file: string

  /** @param file relative to the folder of the benchmarks */
  constructor(
    file: string | URL,
    { args = [], env = {}, profile = false, semiSpace = 32, fullYoung = false }: BenchChildOptions = {},
  ) {
    this.#file = String(file)
    this.process = fork(file instanceof URL ? file : new URL(`../${file}`, import.meta.url), args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: [
        `--max-semi-space-size=${semiSpace}`,
        ...(fullYoung ? [`--min-semi-space-size=${semiSpace}`] : []),
        ...(profile ? ['--cpu-prof'] : []),
      ],
      env: { ...process.env, ...env },
    })
    alive.add(this.process)
    this.process.once('exit', () => alive.delete(this.process))
  }

  /** The next message. Rejects if the process exits first. */
  async next(): Promise<From> {
    const { exitCode, signalCode } = this.process
    if (exitCode !== null || signalCode !== null) throw this.#ended(exitCode, signalCode)
    const over = new AbortController()
    const { signal } = over
    const message = once(this.process, 'message', { signal }).then(([sent]) => sent as From)
    const exit = once(this.process, 'exit', { signal }).then(([code, by]) => {
      throw this.#ended(code, by)
    })
    try {
      return await Promise.race([message, exit])
    } finally {
      over.abort()
    }
  }

  async ask(message: To): Promise<From> {
    const answer = this.next()
    this.send(message)
    return answer
  }

  send(message: To): void {
    this.process.send(message as never)
  }

  async stop(message: To): Promise<void> {
    const exited = once(this.process, 'exit')
    this.send(message)
    await exited
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): Error {
    return new Error(`${this.#file} ended (${signal ?? code}) before it answered.`)
  }
}
