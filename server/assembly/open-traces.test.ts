// Traces that nobody wants cost nothing: what records them is not even loaded. And a collector in trouble is not the log's trouble.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { exportReporter, openTraces } from './open-traces.ts'

const STATIC_IMPORT = /^(?:import|export) (?:[^'";]*? from )?['"]([^'"]+)['"]/gm

/** What is loaded with the server's built command before it has read a setting. */
function loaded(): { readonly files: Set<string>; readonly packages: Set<string> } {
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
  const main = fileURLToPath(new URL('../dist/main.js', import.meta.url))
  expect(existsSync(main), 'built: npm run build').toBe(true)
  visit(main)
  return { files, packages }
}

describe('traces', () => {
  it('are not loaded with the server', () => {
    const { files, packages } = loaded()
    expect(files.size).toBeGreaterThan(100)
    expect(packages).toContain('uWebSockets.js')
    expect([...packages].filter((name) => name.startsWith('@opentelemetry/'))).toEqual([])
    expect([...files].filter((file) => file.includes('otlp'))).toEqual([])
  })

  it('have no tracer where they are off', async () => {
    const silent = { warn: () => undefined, info: () => undefined }
    expect(await openTraces({ traces: 'off', node: 'n' }, silent)).toBeUndefined()
  })

  it('are missed in one line a minute, with how many spans are gone', () => {
    const said: unknown[] = []
    let time = 0
    const logger = {
      warn: (fields: unknown, text: unknown) => void said.push([fields, text]),
      info: (fields: unknown, text: unknown) => void said.push([fields, text]),
    }
    const report = exportReporter(logger, () => time)
    report(undefined, 5)
    for (; time < 130_000; time += 1_000) report(new Error('refused'), 2)
    report(undefined, 7)
    report(undefined, 7)
    const lost = (count: number) => [{ reason: 'refused', lost: count }, 'traces are not taken: spans are lost']
    expect(said).toEqual([lost(2), lost(122), lost(242), [{ lost: 260 }, 'traces are taken again']])
  })
})
