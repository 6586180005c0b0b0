// ServerProcess: the real server as a child process, in a data folder of its own, on a port of its own, so
// that a test can kill it at any moment and start it again in the same place.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url))

export class ServerProcess {
  readonly data = mkdtempSync(join(tmpdir(), 'parley-data-'))
  readonly #env: Readonly<Record<string, string>>
  readonly #logs: string[] = []
  #child: ChildProcess | undefined
  /**
   * Below the range from which connections take their own ports: while the server is dead, one of its clients that
   * tries to come back could otherwise be given the server's port.
   */
  #port = 20_000 + Math.floor(Math.random() * 12_000)

  private constructor(env: Readonly<Record<string, string>>) {
    this.#env = env
  }

  /** @param env settings beside the port and the data folder */
  static async start(env: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
    if (!existsSync(MAIN)) throw new Error('the server is not built: npm run build')
    const server = new ServerProcess(env)
    await server.start()
    return server
  }

  get port(): number {
    return this.#port
  }

  /** The WebSocket's URL. */
  get url(): string {
    return `ws://127.0.0.1:${this.#port}/v1/ws`
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  /** What it has logged, line by line, over all its lives. */
  get logs(): readonly string[] {
    return this.#logs
  }

  /** Resolves when it listens. The port stays the same over restarts. */
  async start(): Promise<void> {
    const child = spawn(process.execPath, [MAIN], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        HOME: this.data,
        PARLEY_DATA: join(this.data, 'data'),
        PARLEY_PORT: String(this.#port),
        PARLEY_LOG_LEVEL: 'info',
        ...this.#env,
      },
    })
    this.#child = child
    createInterface({ input: child.stderr }).on('line', (line) => this.#logs.push(line))
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code) =>
        reject(new Error(`the server stopped with ${code}: ${this.#logs.slice(-5).join('\n')}`)),
      )
      createInterface({ input: child.stdout }).on('line', (line) => {
        this.#logs.push(line)
        if (!line.includes('listening')) return
        resolve()
      })
    })
  }

  /** kill -9: nothing is closed, nothing is said. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  /** SIGTERM, and its exit code. */
  async stop(): Promise<number | null> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null) return child?.exitCode ?? null
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    const [code] = await exited
    return code as number | null
  }

  async dispose(): Promise<void> {
    await this.kill()
    rmSync(this.data, { recursive: true, force: true })
  }
}
