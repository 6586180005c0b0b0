// The operating system's programs that tests and tools use: what each is called, and where it is looked for. A
// program is found by its variable, else on the PATH, else in our cache; one that is too old counts as absent.
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import process from 'node:process'

/** Outside the tree: what was fetched once serves every checkout. */
export const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'parley')

export const CHROMIUM = {
  name: 'Chromium',
  purpose: 'the test of the chat page',
  variable: 'CHROMIUM_BIN',
  commands: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'],
}

/** Batched Direct Get came with 2.11. */
export const NATS_SERVER = {
  name: 'nats-server',
  purpose: 'the tests of the log on JetStream',
  variable: 'NATS_SERVER_BIN',
  commands: ['nats-server'],
  cached: 'nats-server',
  oldest: [2, 11],
}

/** As a proxy before the server, with the settings that it has by itself. */
export const NGINX = {
  name: 'nginx',
  purpose: 'the test of the doors behind a proxy',
  variable: 'NGINX_BIN',
  commands: ['nginx'],
  // Where Debian has it, which is on the PATH of root alone.
  paths: ['/usr/sbin/nginx'],
  cached: 'nginx',
}

/** That the report asks. */
export const PROMETHEUS = {
  name: 'prometheus',
  purpose: 'the test of the report from a Prometheus',
  variable: 'PROMETHEUS_BIN',
  commands: ['prometheus'],
  cached: 'prometheus',
}

/** Prometheus's own judge of what it is to read. */
export const PROMTOOL = {
  name: 'promtool',
  purpose: 'the test of the metrics and of the alerts on them',
  variable: 'PROMTOOL_BIN',
  commands: ['promtool'],
  cached: 'promtool',
}

export const CURL = {
  name: 'curl',
  purpose: 'the test of what the guide to the doors says',
  variable: 'CURL_BIN',
  commands: ['curl'],
}

/**
 * @param {typeof CHROMIUM & { paths?: string[], cached?: string, oldest?: number[] }} program
 * @param {(problem: string) => void} tell of one that was there, and could not be taken
 * @returns {string | undefined} its path
 */
export function findProgram(program, tell = () => undefined) {
  const { name, variable, commands, paths: further = [], cached } = program
  const named = process.env[variable]
  if (named !== undefined && named !== '') {
    if (isProgram(named) && isRecent(program, named, tell)) return named
    if (!isProgram(named)) tell(`${variable} is set, but names no program: ${name} is looked for elsewhere.`)
  }
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  const paths = commands.flatMap((command) => folders.map((folder) => join(folder, command)))
  paths.push(...further)
  if (cached !== undefined) paths.push(join(CACHE, cached))
  return paths.find((path) => isProgram(path) && isRecent(program, path, tell))
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function isRecent({ name, oldest }, path, tell) {
  if (oldest === undefined) return true
  const said = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 10_000 }).stdout ?? ''
  const [, major, minor] = /\bv?(\d+)\.(\d+)\./.exec(said) ?? []
  const [oldestMajor = 0, oldestMinor = 0] = oldest
  const version = [Number(major ?? 0), Number(minor ?? 0)]
  if (version[0] > oldestMajor || (version[0] === oldestMajor && version[1] >= oldestMinor)) return true
  tell(`${path} is ${name} ${major === undefined ? 'of an unknown version' : version.join('.')}: it is passed over.`)
  return false
}
