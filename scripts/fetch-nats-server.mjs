// Fetches a nats-server into our cache: the release's archive, whose digest is pinned here, else Debian's package of
// a newer suite, which Debian's archive key signs. Nothing is installed into the system, and no root is needed.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { CACHE, NATS_SERVER } from './programs.mjs'

const VERSION = '2.14.5'
/** SHA-256 of the archives for Linux, as the project's own image pins them: by Node's name of the processor. */
const ARCHIVES = {
  x64: ['amd64', '5e3b603d47c447bda1f77f9ac16dbf91c90aac4ff3681f8fbbc7201e4ed99355'],
  arm64: ['arm64', '673a98d3faa79dde3f9ebf16d6dfac36a5f694e7ad2015e4954dd7939c85cd4c'],
}
/** Milliseconds to reach the release's server, and for a whole download. */
const REACH_MS = 8_000
const DOWNLOAD_MS = 3 * 60_000

const SUITE = 'forky'
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** @param {(line: string) => void} tell @returns whether it is in the cache now */
export async function fetchNatsServer(tell) {
  mkdirSync(CACHE, { recursive: true })
  // Beside its place, so that it comes there whole, by a rename.
  const folder = mkdtempSync(join(CACHE, 'fetch-'))
  try {
    const binary = (await fromRelease(folder, tell)) ?? fromDebian(folder, tell)
    if (binary === undefined) return false
    chmodSync(binary, 0o755)
    renameSync(binary, join(CACHE, NATS_SERVER.cached))
    return true
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function fromRelease(folder, tell) {
  const [arch, digest] = (process.platform === 'linux' && ARCHIVES[process.arch]) || []
  if (arch === undefined) return undefined
  const name = `nats-server-v${VERSION}-linux-${arch}`
  const url = `https://github.com/nats-io/nats-server/releases/download/v${VERSION}/${name}.tar.gz`
  tell(`nats-server is not here: fetching ${url} …`)
  let bytes
  try {
    const abort = new AbortController()
    const unreached = setTimeout(() => abort.abort(), REACH_MS)
    const response = await fetch(url, { signal: AbortSignal.any([abort.signal, AbortSignal.timeout(DOWNLOAD_MS)]) })
    clearTimeout(unreached)
    if (!response.ok) throw new Error(`status ${response.status}`)
    bytes = Buffer.from(await response.arrayBuffer())
  } catch (error) {
    tell(`It cannot be reached (${error instanceof Error ? error.message : 'unknown'}).`)
    return undefined
  }
  if (createHash('sha256').update(bytes).digest('hex') !== digest) {
    tell('What came has another digest than the one that is pinned: it is not used.')
    return undefined
  }
  const archive = join(folder, 'archive.tar.gz')
  writeFileSync(archive, bytes)
  return run('tar', ['-xzf', archive, '-C', folder], tell) ? join(folder, name, 'nats-server') : undefined
}

/** With apt's own checks of signatures and digests, in folders of our own: the system's lists stay as they are. */
function fromDebian(folder, tell) {
  if (!found('apt-get') || !found('dpkg')) return undefined
  tell(`Fetching Debian's package nats-server of ${SUITE} …`)
  const state = join(folder, 'state')
  for (const name of ['lists/partial', 'archives/partial']) mkdirSync(join(state, name), { recursive: true })
  const list = join(folder, 'sources.list')
  writeFileSync(list, `deb [signed-by=${KEYRING}] http://deb.debian.org/debian ${SUITE} main\n`)
  const options = [
    ['Dir::Etc::sourcelist', list],
    ['Dir::Etc::sourceparts', '-'],
    ['Dir::State::lists', join(state, 'lists')],
    ['Dir::Cache', state],
    ['Dir::Cache::archives', join(state, 'archives')],
    // Downloads run as the caller: apt's own user may not write to the caller's folders.
    ['APT::Sandbox::User', ''],
    ['Acquire::Retries', '3'],
  ].flatMap(([name, value]) => ['-o', `${name}=${value}`])
  if (!run('apt-get', ['-qq', ...options, 'update'], tell)) return undefined
  if (!run('apt-get', ['-qq', ...options, 'download', 'nats-server'], tell, folder)) return undefined
  const archive = readdirSync(folder).find((name) => name.endsWith('.deb'))
  if (archive === undefined) return undefined
  const unpacked = join(folder, 'unpacked')
  return run('dpkg', ['-x', join(folder, archive), unpacked], tell) ? join(unpacked, 'usr/sbin/nats-server') : undefined
}

function found(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0
}

function run(command, words, tell, cwd) {
  const { status, stderr } = spawnSync(command, words, { cwd, encoding: 'utf8', timeout: DOWNLOAD_MS })
  if (status !== 0) tell(`${command} failed: ${stderr?.trim().split('\n').slice(-2).join(' ') || 'no reason given'}`)
  return status === 0
}
