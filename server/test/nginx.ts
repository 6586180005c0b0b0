// Nginx: a real nginx as a child process in front of one server, with its own port and folder. It uses the
// configuration in docs/guides/proxies.md unchanged, with nginx's default buffering.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../bench/cluster/free-port.ts'
import { NGINX, requireProgram } from '../../scripts/programs.mjs'

const GUIDE = new URL('../../docs/guides/proxies.md', import.meta.url)
const READY_MS = 10_000
const POLL_MS = 20
/** Its folders for buffered data. */
const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

export class Nginx {
  readonly port: number
  readonly #folder: string
  readonly #child: ChildProcess

  private constructor(port: number, folder: string, child: ChildProcess) {
    this.port = port
    this.#folder = folder
    this.#child = child
  }

  /** @param more additional lines for its `location` */
  static async start(target: number, more = ''): Promise<Nginx> {
    const binary = requireProgram(NGINX)
    const folder = mkdtempSync(join(tmpdir(), 'parley-nginx-'))
    const port = await freePort()
    const config = join(folder, 'nginx.conf')
    for (const name of TEMPORARY) mkdirSync(join(folder, name))
    writeFileSync(config, text(folder, port, target, more))
    const errors = join(folder, 'error.log')
    const child = spawn(binary, ['-p', folder, '-c', config, '-e', errors], { stdio: 'ignore' })
    const nginx = new Nginx(port, folder, child)
    const end = performance.now() + READY_MS
    while (!(await listens(port))) {
      if (child.exitCode !== null || performance.now() > end) {
        const log = readFileSync(errors, 'utf8')
        await nginx.dispose()
        throw new Error(`nginx does not listen: ${log}`)
      }
      await sleep(POLL_MS)
    }
    return nginx
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`
  }

  async dispose(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit')
      this.#child.kill('SIGTERM')
      await exited
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

function text(folder: string, port: number, target: number, more: string): string {
  return `daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 512; }
http {
  access_log off;
  ${TEMPORARY.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  ${guide()
    .replace('listen 80;', `listen 127.0.0.1:${port};`)
    .replace('127.0.0.1:8080', `127.0.0.1:${target}`)
    .replace('location / {', `location / {\n${more}`)}
}
`
}

/** The first nginx configuration of the guide. */
function guide(): string {
  const [, block = ''] = /```nginx\n([\s\S]*?)```/.exec(readFileSync(GUIDE, 'utf8')) ?? []
  return block
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
