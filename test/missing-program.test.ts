// Tests whose program is missing: they are skipped with a reason at the end of the output, and fail in CI.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs')
const REASON = 'nats-server 2.11 or newer was not found: run node scripts/test-setup.mjs to get it'

/** One test that passes, one that needs the program, and a suite whose hook needs it. */
const TESTS = `
import { NATS_SERVER, requireProgram } from '${ROOT}scripts/programs.mjs'
it('passes', () => undefined)
it('needs the program', () => requireProgram(NATS_SERVER))
describe('a suite', () => {
  let server
  beforeAll(() => { server = requireProgram(NATS_SERVER) })
  afterAll(() => server.close())
  it('is skipped', () => undefined)
  it('is skipped, too', () => undefined)
})`

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'parley-missing-'))
  const files = { runner: `${ROOT}scripts/test-runner.ts`, reporters: [`${ROOT}scripts/summary-reporter.ts`] }
  const config = { test: { ...files, globals: true, include: ['*.fixture.mjs'] } }
  writeFileSync(join(folder, 'vitest.config.mjs'), `export default ${JSON.stringify(config)}`)
  writeFileSync(join(folder, 'tests.fixture.mjs'), TESTS)
})
afterAll(() => rmSync(folder, { recursive: true }))

/** An empty cache and an empty PATH: no program is found. */
function run(ci: string) {
  const env = { PATH: folder, HOME: folder, CI: ci }
  const { stdout, status } = spawnSync(process.execPath, [VITEST, 'run'], { cwd: folder, env, encoding: 'utf8' })
  return { lines: stdout.trimEnd().split('\n'), status }
}

describe('a missing program', () => {
  it('skips the tests that need it, and gives the reason before the last line', () => {
    const { lines, status } = run('')
    expect(lines.slice(-2)).toEqual([`3 skipped: ${REASON}`, '1 passed, 0 failed, 3 skipped'])
    expect(status).toBe(0)
  })

  it('fails the tests that need it in CI', () => {
    const { lines, status } = run('true')
    expect(lines.at(-1)).toBe('1 passed, 1 failed, 2 skipped')
    expect(status).toBe(1)
  })
})
