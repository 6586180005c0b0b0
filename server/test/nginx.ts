// Nginx: a real nginx as a child process, before one server, on a port and in a folder of its own. It buffers as it does
// by itself; what it is told is what the guide to the doors says, word by word.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { freePort } from '../../bench/cluster/free-port.ts'
import { findProgram, NGINX } from '../../scripts/programs.mjs'

const GUIDE = new URL('../../docs/choosing-a-transport.md', import.meta.url)
const READY_MS = 10_000
const POLL_MS = 20
/** Where it keeps what it buffers. */
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

  /** @param more further lines of its `location` */
  static async start(target: number, more = ''): Promise<Nginx> {
    const binary = findProgram(NGINX)
    if (binary === undefined) throw new Error('there is no nginx: node scripts/test-setup.mjs fetches one')
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
        const said = readFileSync(errors, 'utf8')
        await nginx.dispose()
        throw new Error(`nginx does not listen: ${said}`)
      }
      await pause(POLL_MS)
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

/** The configuration in the guide to the doors. */
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
