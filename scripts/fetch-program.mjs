// Fetches a program into our cache: from the release's archive, whose digest is pinned here, or from a Debian package,
// whose signature apt checks. Installs nothing, starts nothing, and needs no root.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { CACHE, NATS_SERVER } from './programs.mjs'

const NATS_VERSION = '2.14.5'
/** SHA-256 of the archives for Linux, as the project's own image pins them, by Node's name of the processor. */
const NATS_ARCHIVES = {
  x64: ['amd64', '5e3b603d47c447bda1f77f9ac16dbf91c90aac4ff3681f8fbbc7201e4ed99355'],
  arm64: ['arm64', '673a98d3faa79dde3f9ebf16d6dfac36a5f694e7ad2015e4954dd7939c85cd4c'],
}
/** Milliseconds until a server must answer, and for a whole step. */
const REACH_MS = 8_000
const STEP_MS = 3 * 60_000
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/**
 * @param {{ name: string, packages?: { name: string, path: string, suite?: string }[] }} program
 * @param {(line: string) => void} say receives progress
 * @returns {Promise<string | undefined>} why it could not be fetched; undefined if it is in the cache now
 */
export async function fetchProgram(program, say) {
  const problems = []
  mkdirSync(CACHE, { recursive: true })
  // In the cache, so that the program gets to its place complete, by a rename.
  const folder = mkdtempSync(join(CACHE, 'fetch-'))
  try {
    for (const fetchSource of sourcesOf(program)) {
      try {
        const binary = await fetchSource(mkdtempSync(join(folder, 'source-')), say)
        chmodSync(binary, 0o755)
        renameSync(binary, join(CACHE, program.name))
        return undefined
      } catch (error) {
        problems.push(error.message)
      }
    }
    return problems.join('; ')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function sourcesOf(program) {
  const packages = (program.packages ?? []).map((wanted) => (folder, say) => fetchDebianPackage(folder, wanted, say))
  return program === NATS_SERVER ? [fetchNatsRelease, ...packages] : packages
}

async function fetchNatsRelease(folder, say) {
  const [arch, digest] = (process.platform === 'linux' && NATS_ARCHIVES[process.arch]) || []
  if (arch === undefined) throw new Error(`no release is pinned for ${process.platform} on ${process.arch}`)
  const name = `nats-server-v${NATS_VERSION}-linux-${arch}`
  const url = `https://github.com/nats-io/nats-server/releases/download/v${NATS_VERSION}/${name}.tar.gz`
  say(`Fetching ${url} …`)
  const bytes = await download(url)
  if (createHash('sha256').update(bytes).digest('hex') !== digest) {
    throw new Error('the archive of the release does not have the pinned digest')
  }
  const archive = join(folder, 'archive.tar.gz')
  writeFileSync(archive, bytes)
  run('tar', ['-xzf', archive, '-C', folder])
  return join(folder, name, 'nats-server')
}

async function download(url) {
  const abort = new AbortController()
  const unreached = setTimeout(() => abort.abort(), REACH_MS)
  try {
    const response = await fetch(url, { signal: AbortSignal.any([abort.signal, AbortSignal.timeout(STEP_MS)]) })
    clearTimeout(unreached)
    if (!response.ok) throw new Error(`status ${response.status}`)
    return Buffer.from(await response.arrayBuffer())
  } catch (error) {
    throw new Error(`the server of the release cannot be reached (${error.message})`)
  } finally {
    clearTimeout(unreached)
  }
}

/**
 * Unpacks Debian packages into one folder: a program that needs more than its binary, with the libraries that are named.
 * @param {string} folder where they are unpacked; it appears complete or not at all
 * @param {string[]} names of the packages
 * @param {(line: string) => void} say receives progress
 */
export function fetchDebianFolder(folder, names, say) {
  mkdirSync(CACHE, { recursive: true })
  const temporary = mkdtempSync(join(CACHE, 'fetch-'))
  try {
    const unpacked = unpackPackages(temporary, names, undefined, say)
    mkdirSync(dirname(folder), { recursive: true })
    renameSync(unpacked, folder)
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
}

function fetchDebianPackage(folder, { name, path, suite }, say) {
  const program = join(unpackPackages(folder, [name], suite, say), path)
  if (!existsSync(program)) throw new Error(`Debian's package ${name} has no ${path}`)
  return program
}

/** With apt's own checks, in folders of our own: the system's lists stay as they are. Without a suite, from the system's. */
function unpackPackages(folder, names, suite, say) {
  for (const tool of ['apt-get', 'dpkg']) {
    if (spawnSync(tool, ['--version'], { stdio: 'ignore' }).status !== 0) throw new Error(`${tool} was not found`)
  }
  say(`Fetching Debian's package ${names.join(', ')}${suite === undefined ? '' : ` of ${suite}`} …`)
  for (const part of ['lists/partial', 'archives/partial']) mkdirSync(join(folder, part), { recursive: true })
  const options = [
    ['Dir::State::lists', join(folder, 'lists')],
    ['Dir::Cache', folder],
    ['Dir::Cache::archives', join(folder, 'archives')],
    // Downloads run as the caller: apt's own user may not write to the caller's folders.
    ['APT::Sandbox::User', ''],
    ['Acquire::Retries', '3'],
    ...(suite === undefined ? [] : sourceOf(folder, suite)),
  ].flatMap(([option, value]) => ['-o', `${option}=${value}`])
  run('apt-get', ['-qq', ...options, 'update'])
  run('apt-get', ['-qq', ...options, 'download', ...names], folder)
  const unpacked = join(folder, 'unpacked')
  for (const archive of readdirSync(folder).filter((file) => file.endsWith('.deb'))) {
    run('dpkg', ['-x', join(folder, archive), unpacked])
  }
  return unpacked
}

/** Another suite, from the mirror that this system's apt uses. */
function sourceOf(folder, suite) {
  const targets = run('apt-get', ['indextargets', '--format', '$(ORIGIN) $(SITE)', 'Created-By: Packages'])
  const mirror = process.env.DEBIAN_MIRROR || /^Debian (\S+)$/m.exec(targets)?.[1]
  if (mirror === undefined) throw new Error('apt names no mirror of Debian, and DEBIAN_MIRROR is not set')
  const list = join(folder, 'sources.list')
  writeFileSync(list, `deb [signed-by=${KEYRING}] ${mirror} ${suite} main\n`)
  return [
    ['Dir::Etc::sourcelist', list],
    ['Dir::Etc::sourceparts', '-'],
  ]
}

/** @returns {string} what it prints */
function run(command, words, cwd) {
  const { status, stdout, stderr } = spawnSync(command, words, { cwd, encoding: 'utf8', timeout: STEP_MS })
  if (status === 0) return stdout
  const [line = 'no reason given'] = (stderr ?? '').trim().split('\n').slice(-1)
  throw new Error(`${command} ${words.at(-1)} failed: ${line}`)
}
