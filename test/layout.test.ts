// The layout: imports between folders have one direction, each workspace declares the packages that it uses, and every source
// file has a header.
import { readdirSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, join, posix, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** workspace → the workspaces that it may import */
const WORKSPACES: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  client: ['protocol'],
  server: ['protocol'],
  react: ['client'],
  'ai-sdk': ['client'],
  web: ['protocol', 'client', 'react'],
  loadtest: ['protocol', 'client'],
  bench: ['protocol', 'server'],
}

/**
 * Folder → the folders of the same workspace that it may import. The longest matching name applies to a file. A name includes
 * the folders below it, unless they are listed themselves.
 */
const FOLDERS: Readonly<Record<string, readonly string[]>> = {
  'server/metric': [],
  'server/trace': [],
  'server/experiment': [],
  'server/store': ['server/store/ports', 'server/metric'],
  'server/store/ports': [],
  'server/store/lmdb': ['server/store', 'server/store/ports', 'server/metric'],
  'server/store/jetstream': ['server/store', 'server/store/ports'],
  'server/relay': ['server/metric'],
  'server/model': ['server/metric', 'server/relay', 'server/store'],
  'server/tool': ['server/metric'],
  'server/auth': ['server/store/ports', 'server/metric'],
  'server/limit': ['server/store/ports', 'server/metric'],
  'server/presence': ['server/store', 'server/store/ports', 'server/metric'],
  'server/session': ['server/store', 'server/store/ports', 'server/tool', 'server/metric', 'server/trace'],
  'server/run': [
    'server/store',
    'server/store/ports',
    'server/model',
    'server/session',
    'server/tool',
    'server/metric',
    'server/trace',
  ],
  'server/transports': [
    'server/auth',
    'server/experiment',
    'server/limit',
    'server/metric',
    'server/presence',
    'server/session',
    'server/store',
    'server/store/ports',
  ],
  // Each setting is parsed into the type of the part that uses it.
  'server/config': [
    'server/auth',
    'server/experiment',
    'server/limit',
    'server/metric',
    'server/model',
    'server/run',
    'server/tool',
    'server/transports',
  ],
  'client/transport': ['client'],
  'client/connection': ['client', 'client/transport'],
  'client/session': ['client', 'client/connection', 'client/transport'],
  'web/src/shared': [],
  'web/src/markdown': ['web/src/shared', 'web/src/code'],
  'web/src/code': ['web/src/shared'],
}

/** Package → the files, folders and name prefixes (`-`) that may import it. The first matching pattern applies. */
const PACKAGES: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^(@btc-vision\/)?uwebsockets(\.js)?$/, ['server/transports/uws.ts']],
  [/^lmdb$/, ['server/store/lmdb/environment.ts']],
  [/^@nats-io\//, ['server/store/jetstream/', 'bench/']],
  [/^@ai-sdk\/provider$/, ['server/model/', 'server/run/', 'bench/']],
  [/^@ai-sdk\/react$/, ['examples/front-ends/']],
  [/^@ai-sdk\//, ['server/model/']],
  [/^rfc6902$/, ['server/model/agui/']],
  [/^ajv$/, ['server/tool/']],
  [/^jose$/, ['server/auth/']],
  [/^@modelcontextprotocol\//, ['server/tool/mcp/', 'examples/']],
  [/^pino$/, ['server/']],
  [/^prom-client$/, ['server/metric/']],
  [/^@opentelemetry\//, ['server/trace/otlp-tracer.ts']],
  [/^msgpackr$/, ['protocol/codec.ts']],
  [/^zod$/, ['protocol/', 'server/', 'examples/']],
  [/^ws$/, ['client/platform-node.ts', 'loadtest/drivers/', 'bench/peers/']],
  [/^uplot$/, ['loadtest/report/']],
  [/^react(-dom)?$/, ['web/', 'react/', 'examples/']],
  [/^temml$/, ['web/src/markdown/']],
]

/** The concrete stores, and the only places that may import them. */
const STORES = /^server\/store\/(lmdb|jetstream)\//
const NAMES_STORES = ['server/store/', 'server/assembly/open-embedded.ts', 'server/assembly/open-jetstream.ts']

const MAX_FILES_OF_A_FOLDER = 30
const MAX_LINES_OF_A_FILE = 400

interface Source {
  /** Relative to the root, with `/`. */
  readonly path: string
  readonly text: string
  readonly isTest: boolean
  readonly imports: readonly string[]
}

const sources = [...files(root)].map(read)
const written = sources.filter((source) => !source.isTest)

describe('a source file', () => {
  it('starts with a header comment', () => {
    const silent = written.filter(({ text }) => !/^(#!.*\n)?\/\/ \S.{15}/.test(text))
    expect(silent.map(({ path }) => path)).toEqual([])
  })

  it(`has at most ${MAX_LINES_OF_A_FILE} lines`, () => {
    const long = written.filter(({ text }) => text.split('\n').length - 1 > MAX_LINES_OF_A_FILE)
    expect(long.map(({ path }) => path)).toEqual([])
  })

  it('is named in kebab-case', () => {
    const names = sources.map(({ path }) => posix.basename(path))
    expect(names.filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)*\.(ts|tsx|mjs)$/.test(name))).toEqual([])
  })

  it('imports relative files with their extension', () => {
    const named = /\.(tsx?|mjs|css|svg)(\?\w+)?$|\/dist\/.*\.js$/
    const bad = eachImport(sources, (_, name) => name.startsWith('.') && !named.test(name))
    expect(bad).toEqual([])
  })
})

describe('a folder', () => {
  it(`has at most ${MAX_FILES_OF_A_FOLDER} source files`, () => {
    const count = new Map<string, number>()
    for (const { path } of written) count.set(posix.dirname(path), (count.get(posix.dirname(path)) ?? 0) + 1)
    expect([...count].filter(([, files]) => files > MAX_FILES_OF_A_FOLDER)).toEqual([])
  })
})

describe('imports', () => {
  it('have one direction between workspaces', () => {
    const bad = eachImport(written, (path, name) => {
      const from = path.split('/')[0] ?? ''
      const to = /^@parley\/([a-z-]+)/.exec(name)?.[1]
      return from in WORKSPACES && to !== undefined && !WORKSPACES[from]?.includes(to)
    })
    expect(bad).toEqual([])
  })

  it('use no path into another workspace', () => {
    // The root's scripts belong to no workspace, and may run the build of any.
    const bad = eachImport(written, (path, name) => {
      return top(path) !== 'scripts' && name.startsWith('.') && top(resolveFrom(path, name)) !== top(path)
    })
    expect(bad).toEqual([])
  })

  it('have one direction between folders', () => {
    const bad = eachImport(written, (path, name) => {
      const from = folderOf(path)
      if (from === undefined || !name.startsWith('.')) return false
      const target = resolveFrom(path, name)
      const to = folderOf(target) ?? posix.dirname(target)
      return from !== to && !FOLDERS[from]?.includes(to)
    })
    expect(bad).toEqual([])
  })

  it('name concrete stores only in the assembly', () => {
    const bad = eachImport(written, (path, name) => {
      return name.startsWith('.') && STORES.test(resolveFrom(path, name)) && !within(path, NAMES_STORES)
    })
    expect(bad).toEqual([])
  })

  it('use each package only where it is allowed', () => {
    const bad = eachImport(written, (path, name) => {
      const places = PACKAGES.find(([pattern]) => pattern.test(packageOf(name)))?.[1]
      return places !== undefined && !within(path, places)
    })
    expect(bad).toEqual([])
  })

  it('form no cycle, types included', () => {
    expect(cycles(sources)).toEqual([])
  })
})

describe.each(Object.keys(WORKSPACES))('workspace %s', (workspace) => {
  const own = sources.filter(({ path }) => top(path) === workspace)
  const { dependencies, devDependencies, peerDependencies } = manifest(workspace)

  it('declares what it imports', () => {
    const used = own.filter(({ isTest }) => !isTest).flatMap(({ imports }) => imports.filter(isPackage).map(packageOf))
    const allowed = new Set([...dependencies, ...devDependencies, ...peerDependencies])
    expect([...new Set(used)].filter((name) => !allowed.has(name) && !allowed.has(`@types/${name}`))).toEqual([])
  })

  it('declares what its tests import, or the root does', () => {
    const rootPackage = manifest('.')
    const workspaces = Object.keys(WORKSPACES).map((name) => `@parley/${name}`)
    const allowed = new Set([...dependencies, ...devDependencies, ...rootPackage.devDependencies, ...workspaces])
    const used = own.filter(({ isTest }) => isTest).flatMap(({ imports }) => imports.filter(isPackage).map(packageOf))
    expect([...new Set(used)].filter((name) => !allowed.has(name) && !allowed.has(`@types/${name}`))).toEqual([])
  })

  it('imports what it declares', () => {
    const used = new Set(own.flatMap(({ imports }) => imports.filter(isPackage).map(packageOf)))
    const idle = [...dependencies, ...devDependencies].filter((name) => !used.has(name) && !name.startsWith('@types/'))
    expect(idle).toEqual([])
  })
})

function* files(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) {
      if (!['node_modules', 'dist', 'data', 'artifacts'].includes(entry.name) && !entry.name.startsWith('.')) {
        yield* files(path)
      }
    } else if (/\.(tsx?|mjs)$/.test(entry.name) && !entry.name.endsWith('.d.ts')) yield path
  }
}

function read(file: string): Source {
  const path = relative(root, file).split(sep).join('/')
  const text = readFileSync(file, 'utf8')
  const isTest = /\.(test|contract|property)\.tsx?$/.test(path) || /(^|\/)test\//.test(path)
  const found = [
    ...text.matchAll(/^(?:import|export)\b[^'"`;]*?\bfrom\s*'([^']+)'/gm),
    ...text.matchAll(/^import\s*'([^']+)'/gm),
    ...text.matchAll(/\b(?:import|require)\('([^']+)'\)/g),
  ]
  return { path, text, isTest, imports: found.map(([, name]) => name ?? '') }
}

function eachImport(from: readonly Source[], isBad: (path: string, name: string) => boolean): string[] {
  return from.flatMap(({ path, imports }) =>
    imports.filter((name) => isBad(path, name)).map((name) => `${path} imports ${name}`),
  )
}

function resolveFrom(path: string, name: string): string {
  return posix.join(posix.dirname(path), name)
}

function top(path: string): string {
  return path.split('/')[0] ?? ''
}

/** The listed folder that a file belongs to. */
function folderOf(path: string): string | undefined {
  const [first] = Object.keys(FOLDERS)
    .filter((folder) => path.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length)
  return first
}

/** Groups of files that import each other, directly or through others (Tarjan's algorithm). */
function cycles(from: readonly Source[]): string[][] {
  const byPath = new Map(from.map((source) => [source.path, source]))
  const order = new Map<string, number>()
  const lowest = new Map<string, number>()
  const stack: string[] = []
  const found: string[][] = []
  const visit = (path: string): void => {
    order.set(path, order.size)
    lowest.set(path, order.size)
    stack.push(path)
    for (const name of byPath.get(path)?.imports ?? []) {
      const to = resolveFrom(path, name)
      if (!name.startsWith('.') || !byPath.has(to)) continue
      if (!order.has(to)) visit(to)
      if (stack.includes(to)) lowest.set(path, Math.min(lowest.get(path) ?? 0, lowest.get(to) ?? 0))
    }
    if (lowest.get(path) !== (order.get(path) ?? 0) + 1) return
    const group = stack.splice(stack.indexOf(path))
    if (group.length > 1) found.push(group.sort())
  }
  for (const { path } of from) if (!order.has(path)) visit(path)
  return found
}

function within(path: string, places: readonly string[]): boolean {
  return places.some((place) => (/[/-]$/.test(place) ? path.startsWith(place) : path === place))
}

function isPackage(name: string): boolean {
  return !name.startsWith('.') && !name.startsWith('#') && !name.startsWith('/') && !isBuiltin(name)
}

function packageOf(name: string): string {
  return name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/')
}

function manifest(workspace: string) {
  const json = JSON.parse(readFileSync(join(root, workspace, 'package.json'), 'utf8')) as Record<string, object>
  return {
    dependencies: Object.keys(json.dependencies ?? {}),
    devDependencies: Object.keys(json.devDependencies ?? {}),
    peerDependencies: Object.keys(json.peerDependencies ?? {}),
  }
}
