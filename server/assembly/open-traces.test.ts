// Without traces, the tracing packages are not loaded. A failing collector does not flood the log.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { exportReporter, openTraces } from './open-traces.ts'

const STATIC_IMPORT = /^(?:import|export) (?:[^'";]*? from )?['"]([^'"]+)['"]/gm

/** What a server loads without traces: the command, the server itself, and the embedded log. */
const LOADED = ['main.js', 'create-server.js', 'assembly/open-embedded.js']

/** Files and packages that the built server loads. */
function loadedModules(): { readonly files: Set<string>; readonly packages: Set<string> } {
  const files = new Set<string>()
  const packages = new Set<string>()
  const visit = (file: string): void => {
    if (files.has(file)) return
    files.add(file)
    for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(STATIC_IMPORT)) {
      if (name.startsWith('.')) visit(join(dirname(file), name))
      else packages.add(name)
    }
  }
  for (const name of LOADED) {
    const file = fileURLToPath(new URL(`../dist/${name}`, import.meta.url))
    expect(existsSync(file), 'run npm run build first').toBe(true)
    visit(file)
  }
  return { files, packages }
}

describe('traces', () => {
  it('load no tracing package with the server', () => {
    const { files, packages } = loadedModules()
    expect(files.size).toBeGreaterThan(100)
    expect(packages).toContain('lmdb')
    expect([...packages].filter((name) => name.startsWith('@opentelemetry/'))).toEqual([])
    expect([...files].filter((file) => file.includes('otlp'))).toEqual([])
  })

  it('have no tracer if they are off', async () => {
    const silent = { warn: () => undefined, info: () => undefined }
    expect(await openTraces({ traces: 'off', node: 'n' }, silent)).toBeUndefined()
  })

  it('log at most one warning a minute, with the number of lost spans', () => {
    const logged: unknown[] = []
    let time = 0
    const logger = {
      warn: (fields: unknown, text: unknown) => void logged.push([fields, text]),
      info: (fields: unknown, text: unknown) => void logged.push([fields, text]),
    }
    const report = exportReporter(logger, () => time)
    report(undefined, 5)
    for (; time < 130_000; time += 1_000) report(new Error('refused'), 2)
    report(undefined, 7)
    report(undefined, 7)
    const lost = (count: number) => [{ reason: 'refused', lost: count }, 'trace export failed']
    expect(logged).toEqual([lost(2), lost(122), lost(242), [{ lost: 260 }, 'trace export recovered']])
  })
})
