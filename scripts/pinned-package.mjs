// Packages that only documentation scripts need. They are no dependencies of the project: each is installed at one exact
// version into the cache folder, once.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { CACHE } from './programs.mjs'

/**
 * @param {string} name of the package
 * @param {string} version an exact one
 * @returns {string} the package's folder
 */
export function pinnedPackage(name, version) {
  const folder = join(CACHE, 'npm', `${name.replace('/', '+')}-${version}`)
  const installed = join(folder, 'node_modules', name)
  if (existsSync(installed)) return installed
  mkdirSync(join(CACHE, 'npm'), { recursive: true })
  // A folder that appears under its name is complete: an interrupted installation leaves only a temporary one.
  const partial = mkdtempSync(join(CACHE, 'npm', 'partial-'))
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-save', '--loglevel=error']
  const { status } = spawnSync('npm', ['install', '--prefix', partial, ...options, `${name}@${version}`], {
    cwd: partial,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (status !== 0) throw new Error(`npm could not install ${name}@${version}.`)
  renameSync(partial, folder)
  return installed
}
