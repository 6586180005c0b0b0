// What the tests need besides Node: programs of the operating system. Each one is looked for where a developer would
// have it, and otherwise installed or fetched where that is possible; nothing is written into the tree.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import process from 'node:process'
import { fetchNatsServer } from './fetch-nats-server.mjs'
import { fetchNginx } from './fetch-nginx.mjs'
import { fetchPrometheus } from './fetch-prometheus.mjs'
import { CHROMIUM, CURL, findProgram, NATS_SERVER, NGINX, PROMETHEUS, PROMTOOL } from './programs.mjs'

/** Milliseconds that an installation may take. */
const INSTALL_MS = 8 * 60_000

const say = (line) => process.stdout.write(`${line}\n`)
const warn = (line) => process.stderr.write(`${line}\n`)

const NEEDED = [
  [CHROMIUM, () => install('chromium')],
  [NATS_SERVER, () => fetchNatsServer(say)],
  [NGINX, () => fetchNginx(say)],
  [PROMETHEUS, () => fetchPrometheus(say)],
  [PROMTOOL, () => fetchPrometheus(say)],
  [CURL, () => install('curl')],
]

let missing = 0
for (const [program, obtain] of NEEDED) {
  const found = findProgram(program, warn) ?? ((await obtain()) ? findProgram(program, warn) : undefined)
  if (found === undefined) {
    missing += 1
    const { name, purpose, variable, commands, oldest } = program
    const version = oldest === undefined ? '' : ` ${oldest.join('.')} or newer`
    warn(
      `${name}${version} was not found, and ${purpose} needs it. Install it ` +
        `(${commands.join(', ')} on the PATH), or set ${variable} to its path.`,
    )
  } else say(`${program.name}: ${found}`)
}
process.exitCode = missing === 0 ? 0 : 1

/** With apt, as root, on a Debian or a child of it. @returns whether it says that it did */
function install(debian) {
  if (process.getuid?.() !== 0 || !isDebian()) return false
  say(`Installing Debian's package ${debian} …`)
  const apt = (...words) => {
    const options = { stdio: ['ignore', 'ignore', 'inherit'], timeout: INSTALL_MS }
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    return spawnSync('apt-get', ['-qq', '-o', 'Dpkg::Use-Pty=0', ...words], { ...options, env }).status === 0
  }
  return apt('update') && apt('install', '-y', '--no-install-recommends', debian)
}

function isDebian() {
  if (!existsSync('/etc/os-release')) return false
  const { groups } =
    /^ID=(?<id>\S+)(?:[\s\S]*^ID_LIKE=(?<like>.*)$)?/m.exec(readFileSync('/etc/os-release', 'utf8')) ?? {}
  return [groups?.id, ...(groups?.like ?? '').split(' ')].some((id) => id?.replaceAll('"', '') === 'debian')
}
