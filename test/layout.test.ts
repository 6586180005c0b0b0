// The layout: imports go one way, every package is used where it belongs and declared by who uses it, and
// every source file says what it owns. Biome holds the directions while one writes; this test holds them for good.
import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, posix, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** workspace → the workspaces that it may import */
const WORKSPACES: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  client: ['protocol'],
  server: ['protocol'],
  web: ['protocol', 'client'],
  loadtest: ['protocol', 'client'],
}

/** folder of the server → the folders that it may import. Files at the root, and the bench, may import any. */
const SERVER: Readonly<Record<string, readonly string[]>> = {
  metric: [],
  trace: [],
  experiment: [],
  log: ['metric'],
  model: ['metric'],
  tool: ['metric'],
  auth: ['log', 'metric'],
  limit: ['log', 'metric'],
  presence: ['log', 'metric'],
  session: ['log', 'tool', 'metric', 'trace'],
  run: ['log', 'model', 'session', 'tool', 'metric', 'trace'],
  doors: ['auth', 'experiment', 'limit', 'log', 'presence', 'session', 'metric'],
}

/** package → the files, folders and beginnings of names (`-`) that may import it; the first pattern that fits a package counts */
const PACKAGES: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^uWebSockets\.js$/, ['server/doors/', 'server/create-server.ts', 'server/bench/']],
  [/^lmdb$/, ['server/log/lmdb-environment.ts', 'server/bench/']],
  [/^@nats-io\//, ['server/log/jetstream-', 'server/bench/']],
  [/^@ai-sdk\/provider$/, ['server/model/', 'server/run/', 'server/bench/']],
  [/^@ai-sdk\//, ['server/model/']],
  [/^ajv$/, ['server/tool/']],
  [/^jose$/, ['server/auth/']],
  [/^pino$/, ['server/']],
  [/^prom-client$/, ['server/metric/']],
  [/^@opentelemetry\//, ['server/trace/otlp-tracer.ts']],
  [/^msgpackr$/, ['protocol/codec.ts']],
  [/^zod$/, ['protocol/', 'server/']],
  [/^ws$/, ['client/platform-node.ts', 'loadtest/doors/', 'server/bench/peers/']],
  [/^uplot$/, ['loadtest/report/']],
  [/^react(-dom)?$/, ['web/']],
]

/** Concrete stores: named by their own folder and by these. */
const STORES = /^server\/log\/(lmdb|jetstream)-/
const NAMES_STORES = ['server/log/', 'server/bench/', 'server/open-stores.ts']

interface Source {
  /** From the root, with `/`. */
  readonly path: string
  readonly text: string
  readonly isTest: boolean
  readonly imports: readonly string[]
}

const sources = [...files(root)].map(read)
const written = sources.filter((source) => !source.isTest)

describe('a source file', () => {
  it('opens with a comment that says what it owns', () => {
    const silent = written.filter(({ text }) => !/^(#!.*\n)?\/\/ \S.{15}/.test(text))
    expect(silent.map(({ path }) => path)).toEqual([])
  })

  it('is named in kebab-case', () => {
    const names = sources.map(({ path }) => posix.basename(path))
    expect(names.filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)*\.(ts|tsx|mjs)$/.test(name))).toEqual([])
  })

  it('that is relative to another names it with its ending', () => {
    const named = /\.(tsx?|mjs|css|svg)(\?\w+)?$|\/dist\/.*\.js$/
    const bad = eachImport(sources, (_, name) => name.startsWith('.') && !named.test(name))
    expect(bad).toEqual([])
  })
})

describe('imports', () => {
  it('go from workspace to workspace one way', () => {
    const bad = eachImport(written, (path, name) => {
      const from = path.split('/')[0] ?? ''
      const to = /^@parley\/([a-z]+)/.exec(name)?.[1]
      return from in WORKSPACES && to !== undefined && !WORKSPACES[from]?.includes(to)
    })
    expect(bad).toEqual([])
  })

  it('never reach into another workspace by a path', () => {
    // The root's scripts belong to no workspace, and may run what another has built.
    const bad = eachImport(written, (path, name) => {
      return top(path) !== 'scripts' && name.startsWith('.') && top(resolveFrom(path, name)) !== top(path)
    })
    expect(bad).toEqual([])
  })

  it('go from folder to folder of the server one way', () => {
    const bad = eachImport(written, (path, name) => {
      if (!name.startsWith('.')) return false
      const [from, to] = [folder(path), folder(resolveFrom(path, name))]
      if (from === undefined || from === 'bench' || from === to) return false
      return to === undefined || !SERVER[from]?.includes(to)
    })
    expect(bad).toEqual([])
  })

  it('name concrete stores in open-stores alone', () => {
    const bad = eachImport(written, (path, name) => {
      return name.startsWith('.') && STORES.test(resolveFrom(path, name)) && !within(path, NAMES_STORES)
    })
    expect(bad).toEqual([])
  })

  it('use every package in its own place', () => {
    const bad = eachImport(written, (path, name) => {
      const places = PACKAGES.find(([pattern]) => pattern.test(packageOf(name)))?.[1]
      return places !== undefined && !within(path, places)
    })
    expect(bad).toEqual([])
  })

  it('fit the rules that Biome has, too', async () => {
    const forbidden = [
      ['protocol/*.ts', '@parley/client'],
      ['protocol/*.ts', 'node:fs'],
      ['client/*.ts', '@parley/server'],
      ['web/src/*.ts', '@parley/server'],
      ['server/log/*.ts', '../session/session.ts'],
      ['server/session/*.ts', '../run/run-engine.ts'],
      ['server/session/*.ts', '../doors/hub.ts'],
      ['server/session/*.ts', '../log/lmdb-log.ts'],
      ['server/session/*.ts', '../log/jetstream-log.ts'],
      ['server/log/lmdb-*.ts', '@nats-io/jetstream'],
      ['server/log/jetstream-*.ts', 'lmdb'],
      ['server/log/jetstream-*.ts', '../session/session.ts'],
      ['server/run/*.ts', '../doors/hub.ts'],
      ['server/run/*.ts', '@ai-sdk/openai'],
      ['server/model/*.ts', '../run/run-engine.ts'],
      ['server/doors/*.ts', '../run/run-engine.ts'],
      ['server/doors/websocket/*.ts', '../../log/lmdb-log.ts'],
      ['server/presence/*.ts', 'uWebSockets.js'],
    ] as const
    const allowed = [
      ['server/run/*.ts', '@ai-sdk/provider'],
      ['server/doors/*.ts', 'uWebSockets.js'],
      ['server/open-stores.ts', './log/lmdb-stores.ts'],
      ['server/log/jetstream-*.ts', '@nats-io/jetstream'],
    ] as const
    const passed = await allowedByBiome([...forbidden, ...allowed])
    expect(passed).toEqual(allowed.map(([path, name]) => `${path} imports ${name}`))
  })
})

describe.each(Object.keys(WORKSPACES))('workspace %s', (workspace) => {
  const own = sources.filter(({ path }) => top(path) === workspace)
  const { dependencies, devDependencies } = manifest(workspace)

  it('declares what it imports', () => {
    const used = own.filter(({ isTest }) => !isTest).flatMap(({ imports }) => imports.filter(isPackage).map(packageOf))
    const allowed = new Set([...dependencies, ...devDependencies])
    expect([...new Set(used)].filter((name) => !allowed.has(name))).toEqual([])
  })

  it('has in its tests only what it or the root declares', () => {
    const rootPackage = manifest('.')
    const workspaces = Object.keys(WORKSPACES).map((name) => `@parley/${name}`)
    const allowed = new Set([...dependencies, ...devDependencies, ...rootPackage.devDependencies, ...workspaces])
    const used = own.filter(({ isTest }) => isTest).flatMap(({ imports }) => imports.filter(isPackage).map(packageOf))
    expect([...new Set(used)].filter((name) => !allowed.has(name))).toEqual([])
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
    ...text.matchAll(/\bimport\('([^']+)'\)/g),
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

/** The folder of the server; undefined for files at its root and outside of it. */
function folder(path: string): string | undefined {
  const [workspace, name, ...rest] = path.split('/')
  return workspace === 'server' && rest.length > 0 ? name : undefined
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
  }
}

/** Those imports, each as a file of its path and an import, that Biome lets pass. */
async function allowedByBiome(imports: readonly (readonly [string, string])[]): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'parley-layout-'))
  try {
    copyFileSync(join(root, 'biome.json'), join(folder, 'biome.json'))
    for (const [index, [path, name]] of imports.entries()) {
      const file = join(folder, path.replace('*', `x${index}`))
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, `import '${name}'\n`)
    }
    const biome = join(root, 'node_modules/@biomejs/biome/bin/biome')
    const options = ['lint', '--only=style/noRestrictedImports', '--vcs-enabled=false', '--reporter=github', folder]
    const { stdout } = await promisify(execFile)(process.execPath, [biome, ...options], { cwd: folder }).catch(
      (error: { readonly stdout?: string }) => ({ stdout: error.stdout ?? '' }),
    )
    const refused = stdout.split('\n').filter((line) => line.includes('noRestrictedImports'))
    return imports
      .filter(([path], index) => !refused.some((line) => line.includes(path.replace('*', `x${index}`))))
      .map(([path, name]) => `${path} imports ${name}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
