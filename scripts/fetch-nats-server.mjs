// Fetches a nats-server into our cache: the release's archive, whose digest is pinned here, else Debian's package of
// a newer suite, which Debian's archive key signs. Nothing is installed into the system, and no root is needed.
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { fetchDebianPackage, run } from './fetch-debian-package.mjs'
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

/** Debian 12 itself has one that is too old. */
const PACKAGE = { name: 'nats-server', path: 'usr/sbin/nats-server', suite: 'forky' }

/** @param {(line: string) => void} tell @returns whether it is in the cache now */
export async function fetchNatsServer(tell) {
  mkdirSync(CACHE, { recursive: true })
  // Beside its place, so that it comes there whole, by a rename.
  const folder = mkdtempSync(join(CACHE, 'fetch-'))
  try {
    const binary = (await fromRelease(folder, tell)) ?? fetchDebianPackage(folder, PACKAGE, tell)
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
