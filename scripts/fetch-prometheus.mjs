// Fetches Prometheus and promtool into our cache, both out of Debian's one package. That is not installed: it would start a
// server on the machine.
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fetchDebianPackage } from './fetch-debian-package.mjs'
import { CACHE, PROMETHEUS, PROMTOOL } from './programs.mjs'

/** @param {(line: string) => void} tell @returns whether they are in the cache now */
export function fetchPrometheus(tell) {
  mkdirSync(CACHE, { recursive: true })
  // Beside their place, so that they come there whole, by a rename.
  const folder = mkdtempSync(join(CACHE, 'fetch-'))
  try {
    const found = fetchDebianPackage(folder, { name: 'prometheus', path: 'usr/bin/prometheus' }, tell)
    if (found === undefined) return false
    for (const { cached } of [PROMETHEUS, PROMTOOL]) {
      const binary = join(dirname(found), cached)
      chmodSync(binary, 0o755)
      renameSync(binary, join(CACHE, cached))
    }
    return true
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
