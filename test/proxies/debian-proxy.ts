// DebianProxy: a real proxy as a child process in front of servers, in a folder of its own. The program is the installed
// one, or Debian's packages unpacked in our cache; the configuration is the guide's, with the test's addresses.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../bench/cluster/free-port.ts'
import { fetchDebianFolder } from '../../scripts/fetch-program.mjs'
import { CACHE } from '../../scripts/programs.mjs'

const GUIDE = new URL('../../docs/guides/proxies.md', import.meta.url)
const READY_MS = 15_000
const POLL_MS = 50

export interface Places {
  /** A temporary folder for its files. */
  readonly folder: string
  /** The root of the unpacked packages, or nothing if the program is installed. */
  readonly root: string
  readonly port: number
  /** The block of the guide in its language, with the test's addresses. */
  readonly guide: string
}

export interface ProxyKind {
  readonly name: string
  /** Where Debian installs it, without the root. */
  readonly binary: string
  /** Of Debian: its own, and the libraries that a small system lacks. */
  readonly packages: readonly string[]
  /** Prints its version. */
  readonly version: readonly string[]
  /** @returns the text of its configuration file */
  config(places: Places): string
  /** Arguments that keep it in the foreground. */
  words(places: Places, config: string): readonly string[]
}

/** The runner of the tests turns it into a skip, by its name. */
class MissingProxy extends Error {
  override name = 'MissingProgram'
}

export class DebianProxy {
  readonly port: number
  readonly version: string
  readonly #folder: string
  readonly #child: ChildProcess

  private constructor(port: number, version: string, folder: string, child: ChildProcess) {
    this.port = port
    this.version = version
    this.#folder = folder
    this.#child = child
  }

  /** @param targets the ports of one server or of two; for two, the guide's lines for several nodes are added */
  static async start(kind: ProxyKind, ...targets: number[]): Promise<DebianProxy> {
    const root = rootOf(kind)
    const folder = mkdtempSync(join(tmpdir(), 'parley-proxy-'))
    const port = await freePort()
    const places = { folder, root, port, guide: guide(kind.name, port, targets) }
    const config = join(folder, 'config')
    writeFileSync(config, kind.config(places))
    const env = { PATH: `${process.env.PATH}:/usr/sbin`, HOME: folder, LD_LIBRARY_PATH: libraries(root) }
    const options = { env, cwd: folder, encoding: 'utf8' } as const
    const binary = `${root}${kind.binary}`
    const printed = spawnSync(binary, kind.version, options)
    const child = spawn(binary, kind.words(places, config), { env, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    child.on('error', ({ message }) => (said += message))
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (said += part))
    const version = /\d+\.\d+(\.\d+)?/.exec(`${printed.stdout}${printed.stderr}`)?.[0] ?? 'unknown'
    const proxy = new DebianProxy(port, version, folder, child)
    const end = performance.now() + READY_MS
    while (!(await listens(port))) {
      if (hasEnded(child) || performance.now() > end) {
        await proxy.dispose()
        throw new Error(`${kind.name} ${version} does not listen: ${said}`)
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
      const impatient = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
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

/** @returns the root in which the program's files are; empty for the system's own */
function rootOf({ name, binary, packages }: ProxyKind): string {
  if (existsSync(binary)) return ''
  const root = join(CACHE, 'debian', name.toLowerCase())
  if (existsSync(join(root, binary))) return root
  try {
    fetchDebianFolder(root, packages, (line) => process.stdout.write(`${line}\n`))
  } catch (error) {
    throw new MissingProxy(`${name} was not found: ${error instanceof Error ? error.message : error}`)
  }
  if (!existsSync(join(root, binary))) throw new MissingProxy(`${name} was not found: no ${binary} in Debian's package`)
  return root
}

function libraries(root: string): string {
  const folder = join(root, 'usr', 'lib')
  if (root === '' || !existsSync(folder)) return ''
  const machines = readdirSync(folder)
    .filter((name) => name.endsWith('-linux-gnu'))
    .map((name) => join(folder, name))
  return [...machines, ...machines.map((path) => join(path, 'varnish'))].join(':')
}

/**
 * The configuration in the proxy's chapter, with our addresses: its first block. For two servers of nginx, the second block
 * comes before it, and the third one replaces its `proxy_pass`.
 */
function guide(name: string, port: number, [target = 0, other]: readonly number[]): string {
  const text = readFileSync(GUIDE, 'utf8')
  const chapter = text.split(/^## /m).find((part) => part.startsWith(`${name}\n`)) ?? ''
  const blocks = chapter.matchAll(/```(?:nginx|haproxy|apache|vcl|squid|caddyfile)\n([\s\S]*?)```/g)
  const [block, upstream = '', lines = ''] = [...blocks].map(([, text]) => text ?? '')
  if (block === undefined) throw new Error(`the guide has no configuration for ${name}`)
  const several =
    other === undefined
      ? block.replace(/^ *server node-2 .*\n/m, '')
      : upstream + block.replace(/^ *proxy_pass .*\n/m, lines)
  return several
    .replace('listen 80;', `listen 127.0.0.1:${port};`)
    .replace('bind :80', `bind 127.0.0.1:${port}`)
    .replace('http_port 80', `http_port 127.0.0.1:${port}`)
    .replace('chat.example.com {', `http://127.0.0.1:${port} {`)
    .replace(/(127\.0\.0\.1|10\.0\.0\.11):8080/, `127.0.0.1:${target}`)
    .replace('10.0.0.12:8080', `127.0.0.1:${other}`)
    .replace('"8080"', `"${target}"`)
    .replace(' 8080 ', ` ${target} `)
}

/** Makes empty folders in the proxy's temporary folder. */
export function makeFolders(folder: string, names: readonly string[]): void {
  for (const name of names) mkdirSync(join(folder, name), { recursive: true })
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
