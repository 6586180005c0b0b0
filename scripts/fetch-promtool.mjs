// Fetches promtool into our cache, out of Debian's package of Prometheus. That is not installed: it would start a server on
// the machine.
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fetchDebianPackage } from './fetch-debian-package.mjs'
import { CACHE, PROMTOOL } from './programs.mjs'

/** @param {(line: string) => void} tell @returns whether it is in the cache now */
export function fetchPromtool(tell) {
  mkdirSync(CACHE, { recursive: true })
  // Beside its place, so that it comes there whole, by a rename.
  const folder = mkdtempSync(join(CACHE, 'fetch-'))
  try {
    const binary = fetchDebianPackage(folder, { name: 'prometheus', path: 'usr/bin/promtool' }, tell)
    if (binary === undefined) return false
    chmodSync(binary, 0o755)
    renameSync(binary, join(CACHE, PROMTOOL.cached))
    return true
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
