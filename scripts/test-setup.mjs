// Gets the programs of the operating system that the tests need, or those named as arguments: finds, installs or fetches
// them. Writes nothing into the repository. Tests without their program are skipped, and the end of the run says why; in CI that is an error.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { fetchProgram } from './fetch-program.mjs'
import { CACHE, describeProgram, FIREFOX, findProgram, PROGRAMS, REASONS, readReasons } from './programs.mjs'

/** Milliseconds for one call of apt-get. */
const INSTALL_MS = 8 * 60_000

const say = (line) => process.stdout.write(`${line}\n`)

const named = [...PROGRAMS, FIREFOX].filter(({ name }) => process.argv.includes(name))
const wanted = named.length > 0 ? named : PROGRAMS
const reasons = readReasons()
for (const program of wanted) {
  const problems = []
  const note = (problem) => problems.push(problem)
  let found = findProgram(program, note)
  if (found === undefined) {
    const problem = program.install === undefined ? await fetchProgram(program, say) : install(program.install)
    if (problem === undefined) found = findProgram(program, note)
    else note(problem)
  }
  delete reasons[program.name]
  if (found !== undefined) say(`${program.name}: ${found}`)
  else {
    reasons[program.name] = problems.join('; ') || `it is not on the PATH, and ${program.variable} is not set`
    process.stderr.write(`${describeProgram(program)} was not found: ${reasons[program.name]}\n`)
  }
}
mkdirSync(CACHE, { recursive: true })
writeFileSync(REASONS, JSON.stringify(reasons))
if (wanted.some(({ name }) => name in reasons)) {
  if (process.env.CI === 'true') process.exitCode = 1
  else process.stderr.write('The tests that need it are skipped. Install it, or set its variable (NGINX_BIN …).\n')
}

/** With apt, as root, on Debian or a derivative. @returns why it is not installed; undefined if it is */
function install(debian) {
  if (!isDebian()) return 'it is not on the PATH'
  if (process.getuid?.() !== 0) return `it is not on the PATH, and only root can install Debian's package ${debian}`
  say(`Installing Debian's package ${debian} …`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  for (const words of [['update'], ['install', '-y', '--no-install-recommends', debian]]) {
    const options = { env, encoding: 'utf8', timeout: INSTALL_MS }
    const { status, stderr } = spawnSync('apt-get', ['-qq', '-o', 'Dpkg::Use-Pty=0', ...words], options)
    if (status !== 0) return `apt-get ${words[0]} failed: ${(stderr ?? '').trim().split('\n').at(-1)}`
  }
  return undefined
}

function isDebian() {
  if (!existsSync('/etc/os-release')) return false
  const { groups } =
    /^ID=(?<id>\S+)(?:[\s\S]*^ID_LIKE=(?<like>.*)$)?/m.exec(readFileSync('/etc/os-release', 'utf8')) ?? {}
  return [groups?.id, ...(groups?.like ?? '').split(' ')].some((id) => id?.replaceAll('"', '') === 'debian')
}
