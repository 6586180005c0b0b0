// Fetches one program out of a Debian package, with apt's own checks of signatures and digests, in folders of our own:
// the system's lists stay as they are, nothing is installed or started, and no root is needed.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Milliseconds for one step. */
const STEP_MS = 3 * 60_000
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/**
 * @param {string} folder where it may work
 * @param {{ name: string, path: string, suite?: string }} wanted a package, the program's path in it, and the suite it is
 *   taken from; without one, it is what this system would install
 * @param {(line: string) => void} tell
 * @returns {string | undefined} where the program is now
 */
export function fetchDebianPackage(folder, { name, path, suite }, tell) {
  if (!found('apt-get') || !found('dpkg')) return undefined
  tell(`Fetching Debian's package ${name}${suite === undefined ? '' : ` of ${suite}`} …`)
  const place = mkdtempSync(join(folder, 'debian-'))
  for (const part of ['lists/partial', 'archives/partial']) mkdirSync(join(place, part), { recursive: true })
  const options = [
    ['Dir::State::lists', join(place, 'lists')],
    ['Dir::Cache', place],
    ['Dir::Cache::archives', join(place, 'archives')],
    // Downloads run as the caller: apt's own user may not write to the caller's folders.
    ['APT::Sandbox::User', ''],
    ['Acquire::Retries', '3'],
    ...(suite === undefined ? [] : sourceOf(place, suite)),
  ].flatMap(([option, value]) => ['-o', `${option}=${value}`])
  if (!run('apt-get', ['-qq', ...options, 'update'], tell)) return undefined
  if (!run('apt-get', ['-qq', ...options, 'download', name], tell, place)) return undefined
  const archive = readdirSync(place).find((file) => file.endsWith('.deb'))
  if (archive === undefined) return undefined
  const unpacked = join(place, 'unpacked')
  if (!run('dpkg', ['-x', join(place, archive), unpacked], tell)) return undefined
  const program = join(unpacked, path)
  return existsSync(program) ? program : undefined
}

function sourceOf(place, suite) {
  const list = join(place, 'sources.list')
  writeFileSync(list, `deb [signed-by=${KEYRING}] http://deb.debian.org/debian ${suite} main\n`)
  return [
    ['Dir::Etc::sourcelist', list],
    ['Dir::Etc::sourceparts', '-'],
  ]
}

function found(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0
}

/** @returns whether it did what it should; the reason is told */
export function run(command, words, tell, cwd) {
  const { status, stderr } = spawnSync(command, words, { cwd, encoding: 'utf8', timeout: STEP_MS })
  if (status !== 0) tell(`${command} failed: ${stderr?.trim().split('\n').slice(-2).join(' ') || 'no reason given'}`)
  return status === 0
}
