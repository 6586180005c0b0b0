// Fetches nginx into our cache, out of the package that this Debian would install. It is not installed: that would start
// a web server on the machine.
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fetchDebianPackage } from './fetch-debian-package.mjs'
import { CACHE, NGINX } from './programs.mjs'

/** @param {(line: string) => void} tell @returns whether it is in the cache now */
export function fetchNginx(tell) {
  mkdirSync(CACHE, { recursive: true })
  // Beside its place, so that it comes there whole, by a rename.
  const folder = mkdtempSync(join(CACHE, 'fetch-'))
  try {
    const binary = fetchDebianPackage(folder, { name: 'nginx', path: 'usr/sbin/nginx' }, tell)
    if (binary === undefined) return false
    chmodSync(binary, 0o755)
    renameSync(binary, join(CACHE, NGINX.cached))
    return true
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
