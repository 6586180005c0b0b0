// The build of uWebSockets.js: the first that loads, and an error that says what to do if none does.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { describe, expect, it } from 'vitest'
import { loadUws, UnsupportedSystemError } from './uws.ts'

const newer = {}
const old = {}
const fails = () => {
  throw new Error('version `GLIBC_2.38` not found')
}

describe('uws.sha256', () => {
  const lines = readFileSync(new URL('uws.sha256', import.meta.url), 'utf8')
    .trim()
    .split('\n')
  const sums = new Map(lines.map((line) => line.split('  ').reverse() as [string, string]))
  const require = createRequire(import.meta.url)

  it('lists each build for the supported versions of Node.js', () => {
    for (const system of ['linux_x64', 'linux_arm64', 'darwin_x64', 'darwin_arm64', 'win32_x64']) {
      for (const version of [115, 127, 137, 141]) {
        expect([...sums.keys()]).toContain(`@btc-vision/uwebsockets.js/uws_${system}_${version}.node`)
      }
    }
  })

  it.each([...sums].filter(([path]) => path.includes(`uws_${process.platform}_${process.arch}_`)))(
    'matches the installed %s',
    (path, sum) => {
      const name = dirname(path)
      const file = join(dirname(require.resolve(name)), path.slice(name.length + 1))
      expect(createHash('sha256').update(readFileSync(file)).digest('hex')).toBe(sum)
    },
  )
})

describe('loadUws', () => {
  it('prefers the newer build', () => {
    expect(loadUws([() => newer, () => old])).toEqual({ uws: newer, fallback: false })
  })

  it('falls back to the old build', () => {
    expect(loadUws([fails, () => old])).toEqual({ uws: old, fallback: true })
  })

  it.each([
    [
      'a package that is not installed',
      "Cannot find module 'uws'\nRequire stack:\n- /a.js",
      "Cannot find module 'uws'",
    ],
    ['a damaged build', 'Node.js 20 only.\n\nError: /b/uws.node: file too short', '/b/uws.node: file too short'],
  ])('gives the cause: %s', (_case, message, cause) => {
    const load = () => {
      throw new Error(message)
    }
    expect(() => loadUws([load, fails])).toThrow(`: ${cause}. Use Node.js 20`)
  })

  it('names the system and the supported ones if no build loads', () => {
    const node = process.versions.node.replaceAll('.', '\\.')
    expect(() => loadUws([fails, fails])).toThrow(UnsupportedSystemError)
    expect(() => loadUws([fails, fails])).toThrow(
      new RegExp(`cannot be loaded by Node\\.js ${node} on ${process.platform}.*Use Node\\.js 20, 22, 24 or 25`),
    )
  })
})
