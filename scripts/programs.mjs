// The programs of the operating system that tests and tools use: their names, and where to find them. A variable wins,
// then the PATH, then our cache. A program that is too old counts as absent.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import process from 'node:process'

/** Outside the repository, so that every checkout shares the downloads. */
export const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'parley')
/** Why the set-up of the tests could not get a program: reasons by name. */
export const REASONS = join(CACHE, 'missing-programs.json')

export const CHROMIUM = {
  name: 'Chromium',
  variable: 'CHROMIUM_BIN',
  commands: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'],
  install: 'chromium',
}

/** Needed only by `npm run test:firefox`, so that the other tests do not install a second browser. */
export const FIREFOX = {
  name: 'Firefox',
  variable: 'FIREFOX_BIN',
  commands: ['firefox-esr', 'firefox'],
  install: 'firefox-esr',
}

/** Batched Direct Get needs 2.11, which is newer than what Debian 12 and 13 have. */
export const NATS_SERVER = {
  name: 'nats-server',
  variable: 'NATS_SERVER_BIN',
  commands: ['nats-server'],
  oldest: [2, 11],
  packages: [{ name: 'nats-server', path: 'usr/sbin/nats-server', suite: 'forky' }],
}

export const NGINX = {
  name: 'nginx',
  variable: 'NGINX_BIN',
  commands: ['nginx'],
  // Debian's folder for it is on root's PATH only.
  paths: ['/usr/sbin/nginx'],
  packages: [{ name: 'nginx', path: 'usr/sbin/nginx' }],
}

export const PROMETHEUS = {
  name: 'prometheus',
  variable: 'PROMETHEUS_BIN',
  commands: ['prometheus'],
  packages: [{ name: 'prometheus', path: 'usr/bin/prometheus' }],
}

/** A package of its own since Debian 13; before that, a part of Prometheus's. */
export const PROMTOOL = {
  name: 'promtool',
  variable: 'PROMTOOL_BIN',
  commands: ['promtool'],
  packages: [
    { name: 'promtool', path: 'usr/bin/promtool' },
    { name: 'prometheus', path: 'usr/bin/promtool' },
  ],
}

export const CURL = {
  name: 'curl',
  variable: 'CURL_BIN',
  commands: ['curl'],
  install: 'curl',
}

export const PROGRAMS = [CHROMIUM, NATS_SERVER, NGINX, PROMETHEUS, PROMTOOL, CURL]

/** The runner of the tests turns it into a skip, except in CI. */
export class MissingProgram extends Error {
  name = 'MissingProgram'

  constructor(program) {
    const reason = readReasons()[program.name] ?? 'run node scripts/test-setup.mjs to get it'
    super(`${describeProgram(program)} was not found: ${reason}`)
  }
}

/** @returns {string} its path @throws MissingProgram */
export function requireProgram(program) {
  const path = findProgram(program)
  if (path === undefined) throw new MissingProgram(program)
  return path
}

/** @returns {string} for example "nats-server 2.11 or newer" */
export function describeProgram({ name, oldest }) {
  return oldest === undefined ? name : `${name} ${oldest.join('.')} or newer`
}

/**
 * @param {(problem: string) => void} tell receives the reason for each program that was there but is not usable
 * @returns {string | undefined} its path
 */
export function findProgram(program, tell = () => undefined) {
  const { name, variable, commands, paths: further = [] } = program
  const named = process.env[variable]
  if (named !== undefined && named !== '') {
    if (isProgram(named) && isRecent(program, named, tell)) return named
    if (!isProgram(named)) tell(`${variable} names no program: ${named}`)
  }
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  const paths = commands.flatMap((command) => folders.map((folder) => join(folder, command)))
  paths.push(...further, join(CACHE, name))
  return paths.find((path) => isProgram(path) && isRecent(program, path, tell))
}

/** @returns {Record<string, string>} */
export function readReasons() {
  try {
    return JSON.parse(readFileSync(REASONS, 'utf8'))
  } catch {
    return {}
  }
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function isRecent({ oldest }, path, tell) {
  if (oldest === undefined) return true
  const printed = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 10_000 }).stdout ?? ''
  const [, major, minor] = /\bv?(\d+)\.(\d+)\./.exec(printed) ?? []
  if (major === undefined) return void tell(`${path} prints no version`)
  const [oldestMajor, oldestMinor] = oldest
  if (Number(major) > oldestMajor || (Number(major) === oldestMajor && Number(minor) >= oldestMinor)) return true
  return void tell(`${path} is version ${major}.${minor}`)
}
