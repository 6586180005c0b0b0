// The packages that are published: their manifests agree, and what a page must load for them stays small.
// `npm run pack:check` checks the tarballs, and installs them for every runtime.
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brotliCompressSync, gzipSync } from 'node:zlib'
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

/** Bytes that a page loads, with each file compressed on its own, as a server sends it. */
interface Size {
  readonly gzip: number
  readonly brotli: number
}

interface Sizes {
  readonly first: Size
  /** Of everything that is loaded once the page falls back to HTTP. */
  readonly fallback: Size
  /** Of everything that is loaded once a chat of the AI SDK shows answers. */
  readonly answers: Size
}

/** What a page loads. React is not counted. */
async function sizesOf(imports: readonly string[]): Promise<Sizes> {
  const page = '\0page'
  const part = '\0part'
  const result = await build({
    configFile: false,
    logLevel: 'error',
    root: fileURLToPath(root),
    plugins: [
      {
        name: 'page',
        resolveId: (id) => (id === page || id === part ? id : undefined),
        load: (id) => (id === page ? imports.join('\n') : id === part ? 'console.log(1)' : undefined),
      },
    ],
    build: {
      write: false,
      rolldownOptions: { input: page, external: ['react', 'react/jsx-runtime'] },
    },
  })
  const { output } = result as Rolldown.RolldownOutput
  const chunks = output.filter((each) => each.type === 'chunk')
  const [entry] = output
  /** The chunk, and everything that it imports. */
  const reached = (chunk: Rolldown.OutputChunk): readonly Rolldown.OutputChunk[] => {
    const all = new Set([chunk])
    for (const each of all) for (const other of chunks) if (each.imports.includes(other.fileName)) all.add(other)
    return [...all]
  }
  const first = reached(entry)
  const together = (name: string): Size => {
    const more = chunks.filter((chunk) => chunk.name === name).flatMap(reached)
    return sizeOf([...new Set([...first, ...more])])
  }
  return { first: sizeOf(first), fallback: together('http'), answers: together('answers') }
}

function sizeOf(chunks: readonly Rolldown.OutputChunk[]): Size {
  const sum = (compress: (code: string) => Buffer): number =>
    chunks.reduce((bytes, { code }) => bytes + compress(code).length, 0)
  return { gzip: sum((code) => gzipSync(code)), brotli: sum((code) => brotliCompressSync(code)) }
}

/** A page that loads a module on demand, for which Vite adds its own code. */
const PAGE = `import('\0part')`
const CLIENT = `import { ParleyClient } from '@parley/client'; console.log(ParleyClient)`
const REACT = `import * as hooks from '@parley/react'; console.log(hooks)`
const AI_SDK = `import { ParleyChatTransport } from '@parley/ai-sdk'; console.log(ParleyChatTransport)`

describe('what a page loads, compressed', () => {
  it('stays small: the client, its fallback to HTTP, the hooks, and the chat transport', async () => {
    const [page, client, hooks, transport] = await Promise.all([
      sizesOf([PAGE]),
      sizesOf([CLIENT]),
      sizesOf([CLIENT, REACT]),
      sizesOf([CLIENT, AI_SDK]),
    ])
    const sizes = {
      client: difference(client.first, page.first),
      withFallback: difference(client.fallback, page.first),
      hooks: difference(hooks.first, client.first),
      transport: difference(transport.first, client.first),
      answers: difference(transport.answers, transport.first),
    }
    const most: typeof sizes = {
      client: { gzip: 16_300, brotli: 14_900 },
      withFallback: { gzip: 23_900, brotli: 21_800 },
      hooks: { gzip: 1_100, brotli: 1_000 },
      transport: { gzip: 2_400, brotli: 2_150 },
      answers: { gzip: 4_450, brotli: 4_100 },
    }
    expect(client.fallback.gzip, 'the fallback is a part of its own').toBeGreaterThan(client.first.gzip)
    expect(transport.answers.gzip, 'and so are answers').toBeGreaterThan(transport.first.gzip)
    for (const [name, size] of Object.entries(sizes)) {
      const { gzip, brotli } = most[name as keyof typeof most]
      expect(size.gzip, `${name}: ${JSON.stringify(sizes)}`).toBeLessThanOrEqual(gzip)
      expect(size.brotli, `${name}: ${JSON.stringify(sizes)}`).toBeLessThanOrEqual(brotli)
    }
  })
})

function difference(one: Size, other: Size): Size {
  return { gzip: one.gzip - other.gzip, brotli: one.brotli - other.brotli }
}
