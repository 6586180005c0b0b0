// What the tests need besides Node: programs of the operating system. Each one is looked for where a developer would
// have it, and installed by the system's packager where that is possible; nothing is written into the tree.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import process from 'node:process'

/** Milliseconds that an installation may take. */
const INSTALL_MS = 8 * 60_000

const PROGRAMS = [
  {
    name: 'Chromium',
    purpose: 'the test of the chat page',
    variable: 'CHROMIUM_BIN',
    commands: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'],
    debian: 'chromium',
  },
]

let missing = 0
for (const program of PROGRAMS) {
  const found = find(program) ?? (install(program) ? find(program) : undefined)
  if (found === undefined) {
    missing += 1
    process.stderr.write(
      `${program.name} was not found, and ${program.purpose} needs it. Install it ` +
        `(${program.commands.join(', ')} on the PATH), or set ${program.variable} to its path.\n`,
    )
  } else process.stdout.write(`${program.name}: ${found}\n`)
}
process.exitCode = missing === 0 ? 0 : 1

function find({ name, variable, commands }) {
  const named = process.env[variable]
  if (named !== undefined && named !== '') {
    if (isProgram(named)) return named
    process.stderr.write(`${variable} is set, but names no program: ${name} is looked for elsewhere.\n`)
  }
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  return commands.flatMap((command) => folders.map((folder) => join(folder, command))).find(isProgram)
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** With apt, as root, on a Debian or a child of it. @returns whether it says that it did */
function install({ name, debian }) {
  if (process.getuid?.() !== 0 || !isDebian()) return false
  process.stdout.write(`${name} is not here: installing Debian's package ${debian} …\n`)
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
