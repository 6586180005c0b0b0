// ProxyProcess: another program's proxy as a child process with its own port and folder. It is started when it listens.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const READY_MS = 15_000
const POLL_MS = 20
const STOP_MS = 5_000
/** Of its output, the newest UTF-16 code units are kept. */
const OUTPUT_KEPT = 64 * 1024

export interface ProxyCommand {
  /** In errors. */
  readonly name: string
  readonly binary: string
  readonly words: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  /** Its own, and its working directory. Removed at the end. */
  readonly folder: string
  /** On loopback. */
  readonly port: number
  /** Whether it forwards requests. Default: it listens. */
  readonly isReady?: (port: number) => Promise<boolean>
}

export class ProxyProcess {
  readonly port: number
  readonly #folder: string
  readonly #child: ChildProcess

  private constructor(port: number, folder: string, child: ChildProcess) {
    this.port = port
    this.#folder = folder
    this.#child = child
  }

  /** @throws Error with its output if it does not become ready */
  static async start(command: ProxyCommand): Promise<ProxyProcess> {
    const { name, binary, words, env, folder, port, isReady = listens } = command
    const child = spawn(binary, words, { env, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    const hear = (text: string): void => {
      said = (said + text).slice(-OUTPUT_KEPT)
    }
    child.on('error', ({ message }) => hear(message))
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => hear(String(part)))
    const proxy = new ProxyProcess(port, folder, child)
    const end = performance.now() + READY_MS
    while (!(await isReady(port))) {
      if (hasEnded(child) || performance.now() > end) {
        await proxy.dispose()
        throw new Error(`${name} does not listen: ${said}`)
      }
      await sleep(POLL_MS)
    }
    return proxy
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`
  }

  async dispose(): Promise<void> {
    if (!hasEnded(this.#child)) {
      const exited = once(this.#child, 'exit')
      const impatient = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS)
      this.#child.kill('SIGTERM')
      await exited
      clearTimeout(impatient)
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** Has it exited, or never been started? */
function hasEnded({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid === undefined || exitCode !== null || signalCode !== null
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
