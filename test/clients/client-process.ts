// ClientProcess: a program that uses a client, as a child process. Its lines are kept and can be awaited.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { type Command, type Language, prepare } from './toolchains.ts'

export interface Client {
  readonly name: string
  readonly language: Language
  /** Its name in the program. */
  readonly id: string
  /** The program, if it is another than the one for most clients of its kind. */
  readonly program?: 'responses-socket'
}

const COMMANDS: Readonly<Record<Language, (program: string) => Command>> = {
  python: (program) => ['venv/bin/python', `${program.replaceAll('-', '_')}.py`],
  npm: (program) => [process.execPath, `${program}.mjs`],
  copilotkit: () => [process.execPath, 'copilotkit.mjs'],
  go: () => ['./client'],
  rust: () => ['target/debug/parley-client'],
  java: () => ['java', '-cp', 'classes:lib/*', 'Client'],
}

export class ClientProcess {
  /** Of its standard output. */
  readonly lines: string[] = []
  readonly errors: string[] = []
  readonly #child: ChildProcess
  readonly #closed: Promise<unknown>
  readonly #listeners = new Set<() => void>()

  /** @param env settings of the program; `URL` is that of an SSE stream */
  constructor({ language, id, program }: Client, words: readonly string[], env: Readonly<Record<string, string>>) {
    const folder = prepare(language)
    const usual = 'URL' in env ? 'sse-clients' : 'openai-clients'
    const [command, ...first] = COMMANDS[language](program ?? usual)
    const path = command.includes('/') ? join(folder, command) : command
    this.#child = spawn(command === process.execPath ? command : path, [...first, id, ...words], {
      cwd: folder,
      stdio: 'pipe',
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    })
    this.#closed = once(this.#child, 'close')
    for (const [stream, kept] of [
      [this.#child.stdout, this.lines],
      [this.#child.stderr, this.errors],
    ] as const) {
      if (stream === null) throw new Error('no output of the client')
      createInterface({ input: stream }).on('line', (line) => {
        kept.push(line)
        for (const listener of this.#listeners) listener()
      })
    }
  }

  /** Pieces of a streamed answer that it has received. */
  get pieces(): number {
    return this.errors.filter((line) => line === 'piece').length
  }

  /** What it reported, for the message of a failed check. */
  get report(): string {
    return this.errors
      .filter((line) => line !== 'piece')
      .slice(0, 20)
      .join('\n')
  }

  /** Resolves when the condition holds after a line, or when the program has exited. */
  async until(condition: () => boolean): Promise<void> {
    let listener = (): void => undefined
    const held = new Promise<void>((resolve) => {
      listener = () => {
        if (condition()) resolve()
      }
      this.#listeners.add(listener)
      listener()
    })
    await Promise.race([held, this.#closed])
    this.#listeners.delete(listener)
  }

  async exit(): Promise<void> {
    await this.#closed
  }

  /** Sends the line for which the program waits. */
  proceed(): void {
    this.#child.stdin?.end('\n')
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}
