// The packages that are published: their manifests agree, and what a page must load for them stays small.
// `npm run pack:check` checks the tarballs, and installs them for every runtime.
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { build, type Rolldown } from 'vite'
import { describe, expect, it } from 'vitest'

const root = new URL('..', import.meta.url)
const PUBLISHED = ['protocol', 'client', 'react', 'ai-sdk', 'server'] as const

interface Manifest {
  readonly name: string
  readonly version: string
  readonly private?: boolean
  readonly license?: string
  readonly engines?: { readonly node?: string }
  readonly files?: readonly string[]
  readonly exports: { readonly '.': { readonly types: string } }
  readonly publishConfig?: object
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

function manifest(folder: string): Manifest {
  return JSON.parse(readFileSync(new URL(`${folder}/package.json`, root), 'utf8'))
}

describe.each(PUBLISHED)('the package of %s', (folder) => {
  const own = manifest(folder)

  it('can be published, with provenance', () => {
    expect(own.name).toBe(`@parley/${folder}`)
    expect(own.private).toBeUndefined()
    expect(own).toMatchObject({ license: 'Apache-2.0', publishConfig: { access: 'public', provenance: true } })
    expect(own.engines?.node).toMatch(/^>=20\.19\.0/)
    expect(own.files).toContain('dist')
    expect(own.exports['.'].types).toBe('./dist/index.d.ts')
    expect(existsSync(new URL(`${folder}/README.md`, root))).toBe(true)
  })

  it('has the version of all others, and needs that', () => {
    const { version } = manifest('.')
    expect(own.version).toBe(version)
    const needed = Object.entries({ ...own.dependencies, ...own.peerDependencies })
    const ranges = needed.filter(([name]) => name.startsWith('@parley/')).map(([, range]) => range)
    expect(ranges.filter((range) => range !== `^${version}`)).toEqual([])
  })
})

it('has a bill of materials with the packages that the server runs, and no others', async () => {
  const { stdout } = await promisify(execFile)('npm', ['run', '--silent', 'sbom'], { cwd: root, maxBuffer: 2 ** 24 })
  const { bomFormat, components } = JSON.parse(stdout) as {
    readonly bomFormat: string
    readonly components: readonly { readonly name: string; readonly version: string; readonly purl: string }[]
  }
  expect(bomFormat).toBe('CycloneDX')
  const names = components.map(({ name }) => name)
  const needed = Object.keys(manifest('server').dependencies ?? {})
  expect(needed.length).toBeGreaterThan(10)
  // Such as zod, which other workspaces need for development. Our own packages come from the same sources as the bill.
  expect(needed.filter((name) => !names.includes(name))).toEqual(['@parley/protocol'])
  expect(names.filter((name) => ['vitest', 'openai', 'ws', 'react', 'playwright-core'].includes(name))).toEqual([])
  expect(components.filter(({ version, purl }) => version === '' || !purl.startsWith('pkg:npm/'))).toEqual([])
})

/** Bytes, compressed with gzip, of what a page loads at first; React is not counted. */
async function sizeOf(imports: readonly string[]): Promise<number> {
  const page = '\0page'
  const result = await build({
    configFile: false,
    logLevel: 'error',
    root: fileURLToPath(root),
    plugins: [
      {
        name: 'page',
        resolveId: (id) => (id === page ? page : undefined),
        load: (id) => (id === page ? `${imports.join('\n')}` : undefined),
      },
    ],
    build: { write: false, rolldownOptions: { input: page, external: ['react', 'react/jsx-runtime'] } },
  })
  const { output } = result as Rolldown.RolldownOutput
  const [entry] = output
  const isStatic = (name: string): boolean => name === entry.fileName || entry.imports.includes(name)
  const code = output.map((each) => (each.type === 'chunk' && isStatic(each.fileName) ? each.code : '')).join('')
  return gzipSync(code).length
}

const CLIENT = `import { ParleyClient } from '@parley/client'; console.log(ParleyClient)`
const REACT = `import * as hooks from '@parley/react'; console.log(hooks)`
const AI_SDK = `import { ParleyChatTransport } from '@parley/ai-sdk'; console.log(ParleyChatTransport)`

describe('a page loads, compressed', () => {
  it('at most 19 kB for the client with its WebSocket, 1.5 kB more for the hooks, and 5.5 kB more for the chat transport', async () => {
    const [client, hooks, transport] = await Promise.all([
      sizeOf([CLIENT]),
      sizeOf([CLIENT, REACT]),
      sizeOf([CLIENT, AI_SDK]),
    ])
    const kb = { client: client / 1_000, hooks: (hooks - client) / 1_000, transport: (transport - client) / 1_000 }
    expect(kb.client, JSON.stringify(kb)).toBeLessThanOrEqual(19)
    expect(kb.hooks, JSON.stringify(kb)).toBeLessThanOrEqual(1.5)
    expect(kb.transport, JSON.stringify(kb)).toBeLessThanOrEqual(5.5)
  })
})
