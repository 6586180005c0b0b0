// BenchChild: one process of a benchmark, and what it is asked and answers, one question at a time.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

export interface BenchChildOptions {
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Leaves a .cpuprofile in the working folder. */
  readonly profile?: boolean
  /** Megabytes; 32 as `npm start` has it. */
  readonly semiSpace?: number
  /** The young generation is as large from the beginning on as it may get. */
  readonly fullYoung?: boolean
}

/** None outlives the benchmark, however that ends. */
const alive = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

export class BenchChild<To, From> {
  readonly process: ChildProcess
  readonly #file: string

  /** @param file beside this one */
  constructor(
    file: string,
    { args = [], env = {}, profile = false, semiSpace = 32, fullYoung = false }: BenchChildOptions = {},
  ) {
    this.#file = file
    this.process = fork(new URL(`../${file}`, import.meta.url), args, {
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

  /** What it says next. Rejects when it ends before it says anything. */
  async next(): Promise<From> {
    const { exitCode, signalCode } = this.process
    if (exitCode !== null || signalCode !== null) throw this.#ended(exitCode, signalCode)
    const over = new AbortController()
    const { signal } = over
    const says = once(this.process, 'message', { signal }).then(([message]) => message as From)
    const ends = once(this.process, 'exit', { signal }).then(([code, by]) => {
      throw this.#ended(code, by)
    })
    try {
      return await Promise.race([says, ends])
    } finally {
      over.abort()
    }
  }

  async ask(message: To): Promise<From> {
    const answer = this.next()
    this.tell(message)
    return answer
  }

  tell(message: To): void {
    this.process.send(message as never)
  }

  async stop(message: To): Promise<void> {
    const exited = once(this.process, 'exit')
    this.tell(message)
    await exited
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): Error {
    return new Error(`${this.#file} ended (${signal ?? code}) before it answered.`)
  }
}
