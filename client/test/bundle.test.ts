// Tests what a page must load for the SDK: no schemas, no Node socket, and MessagePack only on demand.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { CLIENT_VERSION } from '../index.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, 'client/package.json'), 'utf8'))

const STATIC_IMPORT = /^(?:import|export) (?:(?:\*|\{[^}]*\}|\w+)[^;'"{}]*?from )?['"]([^'"]+)['"]/gm

/** Every package that the SDK's entry reaches by static imports, as a bundler for browsers resolves them. */
function packagesReached(): Set<string> {
  const packages = new Set<string>()
  const seen = new Set<string>()
  const visit = (file: string): void => {
    if (seen.has(file)) return
    seen.add(file)
    for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(STATIC_IMPORT)) {
      if (name === '#platform') visit(join(root, 'client', manifest.imports['#platform'].default))
      else if (name.startsWith('.')) visit(join(dirname(file), name))
      else if (name.startsWith('@parley/protocol/')) visit(join(root, 'protocol/dist', `${name.slice(17)}.js`))
      else packages.add(name)
    }
  }
  visit(join(root, 'client/dist/index.js'))
  expect(seen.size).toBeGreaterThan(15)
  return packages
}

describe('the SDK in a page', () => {
  it('needs no package, except when it loads MessagePack', () => {
    expect(existsSync(join(root, 'client/dist/index.js')), 'built: npm run build').toBe(true)
    expect([...packagesReached()]).toEqual([])
  })

  it('reports the version of its package to the server', () => {
    expect(CLIENT_VERSION).toBe(manifest.version)
  })
})
