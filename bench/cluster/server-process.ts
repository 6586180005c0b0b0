// ServerProcess: the real server as a child process with its own data folder and port, so that it can be killed at any
// time and restarted in place. Its log lines are kept, up to a limit.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { freePort } from './free-port.ts'

/** From source and from dist/. */
const MAIN = ['../../server/dist/main.js', '../../../server/dist/main.js']
  .map((path) => new URL(path, import.meta.url))
  .find((url) => existsSync(url))
/** The number of newest lines to keep; of older lines, only errors are kept. */
const LINES_KEPT = 20_000

export interface ServerProcessOptions {
  /** Default: a free port below the ephemeral range. */
  readonly port?: number
  /** Options of Node.js, such as `--cpu-prof`. */
  readonly execArgv?: readonly string[]
  /** A command and its first arguments, which replaces itself by the program that its other arguments name. */
  readonly launcher?: readonly string[]
}

/** `died`: it exited on its own. */
export type ServerState = 'starting' | 'listening' | 'stalled' | 'stopping' | 'stopped' | 'killed' | 'died'

export class ServerProcess {
  readonly data = mkdtempSync(join(tmpdir(), 'parley-data-'))
  readonly port: number
  readonly #env: Readonly<Record<string, string>>
  readonly #execArgv: readonly string[]
  readonly #launcher: readonly string[]
  readonly #listeners = new Set<(state: ServerState) => void>()
  #logs: string[] = []
  #child: ChildProcess | undefined
  #state: ServerState = 'stopped'

  /** Does not start the server. @param env settings other than the port and the data folder */
  constructor(
    env: Readonly<Record<string, string>>,
    port: number,
    execArgv: readonly string[] = [],
    launcher: readonly string[] = [],
  ) {
    this.#env = env
    this.#execArgv = execArgv
    this.#launcher = launcher
    this.port = port
  }

  /** @param env settings other than the port and the data folder */
  static async start(
    env: Readonly<Record<string, string>> = {},
    options: ServerProcessOptions = {},
  ): Promise<ServerProcess> {
    const server = new ServerProcess(env, options.port ?? (await freePort()), options.execArgv, options.launcher)
    await server.start()
    return server
  }

  /** The WebSocket's URL. */
  get url(): string {
    return `ws://127.0.0.1:${this.port}/v1/ws`
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  get alive(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  get state(): ServerState {
    return this.#state
  }

  /** The log lines of all its processes. */
  get logs(): readonly string[] {
    return this.#logs
  }

  onState(listener: (state: ServerState) => void): void {
    this.#listeners.add(listener)
  }

  /** Resolves when the server listens. Restarts keep the port. */
  async start(): Promise<void> {
    if (MAIN === undefined) throw new Error('the server is not built: run npm run build')
    if (this.alive) return
    const [command, ...args] = [...this.#launcher, process.execPath, ...this.#execArgv, MAIN.pathname] as [string]
    const child = spawn(command, args, {
      cwd: this.data,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        HOME: this.data,
        PARLEY_DATA: join(this.data, 'data'),
        PARLEY_PORT: String(this.port),
        PARLEY_LOG_LEVEL: 'info',
        ...this.#env,
      },
    })
    this.#child = child
    this.#setState('starting')
    createInterface({ input: child.stderr }).on('line', (line) => this.#keepLine(line))
    child.once('exit', () => {
      if (this.#child !== child) return
      if (this.#state === 'stopping') this.#setState('stopped')
      else if (this.#state !== 'killed') this.#setState('died')
    })
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code, signal) =>
        reject(new Error(`the server exited with ${code ?? signal}: ${this.#logs.slice(-5).join('\n')}`)),
      )
      createInterface({ input: child.stdout }).on('line', (line) => {
        this.#keepLine(line)
        if (!line.includes('listening')) return
        if (this.#state === 'starting') this.#setState('listening')
        resolve()
      })
    })
  }

  /** kill -9: the server closes nothing and notifies nobody. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || !this.alive) return
    const exited = once(child, 'exit')
    this.#setState('killed')
    child.kill('SIGKILL')
    await exited
  }

  /** Sends SIGTERM, and resolves with the exit code. */
  async stop(): Promise<number | null> {
    const child = this.#child
    if (child === undefined || !this.alive) return child?.exitCode ?? null
    const exited = once(child, 'exit')
    this.#setState('stopping')
    child.kill('SIGTERM')
    const [code] = await exited
    return code as number | null
  }

  /** SIGSTOP: the process exists but does not run. */
  stall(): void {
    if (!this.alive) return
    this.#child?.kill('SIGSTOP')
    this.#setState('stalled')
  }

  /** SIGCONT. */
  resume(): void {
    if (!this.alive || this.#state !== 'stalled') return
    this.#child?.kill('SIGCONT')
    this.#setState('listening')
  }

  async dispose(): Promise<void> {
    await this.kill()
    rmSync(this.data, { recursive: true, force: true })
  }

  #setState(state: ServerState): void {
    this.#state = state
    for (const listener of this.#listeners) listener(state)
  }

  #keepLine(line: string): void {
    this.#logs.push(line)
    if (this.#logs.length < 2 * LINES_KEPT) return
    const old = this.#logs.slice(0, LINES_KEPT).filter((kept) => /"level":"(error|fatal)"|Error/.test(kept))
    this.#logs = [...old.slice(-LINES_KEPT / 2), ...this.#logs.slice(LINES_KEPT)]
  }
}
