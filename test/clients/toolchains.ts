// Installs the clients of one language, at the versions of its manifest, into our cache folder outside the repository.
// The ordinary tools of the registries do that. Without the tool or its registry, the tests are skipped with the reason.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CACHE } from '../../scripts/programs.mjs'

export type Language = 'python' | 'npm' | 'copilotkit' | 'go' | 'rust' | 'java'

/** A command line, to which the arguments of a client are added. */
export type Command = readonly [string, ...string[]]

/** The runner of the tests turns it into a skip, by its name. */
class MissingTool extends Error {
  override name = 'MissingProgram'
}

const HERE = fileURLToPath(new URL('.', import.meta.url))
const STEP_MS = 10 * 60_000

/** The files that name the versions: without a change in them, nothing is installed again. */
const MANIFESTS: Readonly<Record<Language, readonly string[]>> = {
  python: ['requirements.txt'],
  npm: ['package.json'],
  copilotkit: ['package.json'],
  go: ['go.mod', 'go.sum'],
  rust: ['Cargo.toml'],
  java: ['pom.xml'],
}

const NPM_INSTALL: Command = ['npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
const INSTALL: Readonly<Record<Language, readonly Command[]>> = {
  python: [
    ['python3', '-m', 'venv', 'venv'],
    ['venv/bin/python', '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', 'requirements.txt'],
  ],
  npm: [NPM_INSTALL],
  copilotkit: [NPM_INSTALL],
  go: [['go', 'mod', 'download']],
  rust: [['cargo', 'fetch', '--quiet']],
  java: [['mvn', '--quiet', '--batch-mode', 'dependency:copy-dependencies', '-DoutputDirectory=lib']],
}

/** Compilers have caches of their own: after a change of the programs, this is quick. */
const BUILD: Readonly<Record<Language, readonly Command[]>> = {
  python: [],
  npm: [],
  copilotkit: [],
  go: [['go', 'build', '-o', 'client', '.']],
  rust: [['cargo', 'build', '--quiet']],
  java: [['javac', '-cp', 'lib/*', '-d', 'classes', 'Client.java']],
}

/** Folders, or why there is none: a registry that cannot be reached is asked only once. */
const prepared = new Map<Language, string | MissingTool>()

/** @returns the folder with the clients @throws MissingTool */
export function prepare(language: Language): string {
  const outcome = prepared.get(language) ?? installed(language)
  prepared.set(language, outcome)
  if (outcome instanceof MissingTool) throw outcome
  return outcome
}

function installed(language: Language): string | MissingTool {
  const source = join(HERE, language)
  const folder = join(CACHE, 'clients', `${language}-${digest(MANIFESTS[language].map((name) => join(source, name)))}`)
  const complete = join(folder, 'complete')
  const isComplete = existsSync(complete)
  if (!isComplete) rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  cpSync(source, folder, { recursive: true })
  try {
    if (!isComplete) for (const step of INSTALL[language]) run(step, folder)
  } catch (error) {
    return new MissingTool(`the ${language} clients cannot be installed: ${(error as Error).message}`)
  }
  writeFileSync(complete, '')
  try {
    for (const step of BUILD[language]) run(step, folder)
  } catch (error) {
    if (error instanceof MissingTool) return error
    // The programs must compile.
    throw error
  }
  return folder
}

/** @throws MissingTool if there is no such program, Error if it fails */
export function run([command, ...words]: Command, cwd: string): void {
  const { error, status, stderr, stdout } = spawnSync(command, words, { cwd, encoding: 'utf8', timeout: STEP_MS })
  if (error !== undefined && 'code' in error && error.code === 'ENOENT')
    throw new MissingTool(`${command} was not found`)
  if (status !== 0)
    throw new Error(`${command} ${words[0]} failed: ${error?.message ?? (stderr || stdout).trim().slice(-500)}`)
}

function digest(paths: readonly string[]): string {
  const hash = createHash('sha256')
  for (const path of paths) hash.update(readFileSync(path))
  return hash.digest('hex').slice(0, 16)
}
