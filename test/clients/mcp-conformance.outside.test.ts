// The official MCP conformance suite against the MCP endpoint, with the tools that its scenarios call. It needs Node 22, which npm
// provides. Its list of expected failures has a reason for each; a scenario that passes unexpectedly fails as well. A skipped
// scenario of the suite is green, so the checks are counted.
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { loadConfig } from '../../server/config/config.ts'
import { createServer, type Server } from '../../server/create-server.ts'
import { CONFORMANCE_TOOLS } from '../../server/transports/mcp/test/conformance-tools.ts'

const run = promisify(execFile)
const PACKAGES = ['@modelcontextprotocol/conformance@0.2.0-alpha.12', 'node@22']
const CACHE = join(homedir(), '.cache', 'parley', 'mcp-conformance-0.2.0-alpha.12')

let server: Server
let folder = ''

beforeAll(async () => {
  if (!existsSync(join(CACHE, 'node_modules', 'node', 'bin', 'node'))) {
    mkdirSync(CACHE, { recursive: true })
    await run('npm', ['install', '--no-audit', '--no-fund', '--prefix', CACHE, ...PACKAGES])
  }
  folder = mkdtempSync(join(tmpdir(), 'parley-conformance-'))
  const config = await loadConfig({ PARLEY_DATA: folder, PARLEY_PORT: '0', PARLEY_DRAIN: '1' }, folder)
  server = await createServer(config, pino({ level: 'silent' }), { mcpTools: CONFORMANCE_TOOLS })
})
afterAll(async () => {
  await server?.close()
  rmSync(folder, { recursive: true, force: true })
})

it.each([
  ['2025-11-25', 46],
  ['2026-07-28', 136],
])('the suite for %s passes, except the expected failures', async (requirements, checks) => {
  const expected = fileURLToPath(new URL(`mcp-failures-${requirements}.yml`, import.meta.url))
  const modules = join(CACHE, 'node_modules')
  const suite = join(modules, '@modelcontextprotocol', 'conformance', 'dist', 'index.js')
  const options = ['--requirements', requirements, '--expected-failures', expected, '--timeout', '10000']
  const args = [suite, 'server', '--url', `${server.url}/mcp`, ...options, '-o', join(folder, requirements)]
  const { stdout, code = 0 } = (await run(join(modules, 'node', 'bin', 'node'), args, { maxBuffer: 2 ** 26 }).catch(
    (error: { stdout: string; code: number }) => error,
  )) as { stdout: string; code?: number }
  const summary = stdout.slice(stdout.indexOf('=== SUMMARY ==='))
  expect(code, summary).toBe(0)
  expect(Number(/Total: (\d+) passed/.exec(summary)?.[1]), summary).toBeGreaterThanOrEqual(checks)
})
