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

export class BenchChild<To, From> {
  readonly process: ChildProcess

  /** @param file beside this one */
  constructor(
    file: string,
    { args = [], env = {}, profile = false, semiSpace = 32, fullYoung = false }: BenchChildOptions = {},
  ) {
    this.process = fork(new URL(file, import.meta.url), args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: [
        `--max-semi-space-size=${semiSpace}`,
        ...(fullYoung ? [`--min-semi-space-size=${semiSpace}`] : []),
        ...(profile ? ['--cpu-prof'] : []),
      ],
      env: { ...process.env, ...env },
    })
  }

  async next(): Promise<From> {
    const [message] = await once(this.process, 'message')
    return message as From
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
}
