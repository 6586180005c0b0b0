// The official MCP conformance suite against the MCP endpoint, with the tools that its scenarios call. It needs Node 22, which npm
// provides. Its list of expected failures has a reason for each; a scenario that passes unexpectedly fails as well. A skipped
// scenario of the suite is green, so the checks are counted.
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { loadConfig } from '../../server/config/config.ts'
import { createServer, type Server } from '../../server/create-server.ts'
import { defineTool } from '../../server/tool/define-tool.ts'
import { CONFORMANCE_TOOLS } from '../../server/transports/mcp/test/conformance-tools.ts'

const run = promisify(execFile)
const PACKAGES = ['@modelcontextprotocol/conformance@0.2.0-alpha.12', 'node@22']
const CACHE = join(homedir(), '.cache', 'parley', 'mcp-conformance-0.2.0-alpha.12')

let server: Server
let translator: HttpServer
let folder = ''

/** The suite's tools that become tasks, as calls of the agent: the tasks themselves are the real ones. */
const ASKED: Readonly<Record<string, (given: { seconds?: number }) => string>> = {
  slow_compute: ({ seconds = 1 }) => `/demo count=${Math.max(1, seconds * 10)} rate=10 ttft=0`,
  failing_job: () => '/demo fail=2 rate=0',
  protocol_error_job: () => '/demo fail=2 rate=0',
  confirm_delete: () => '/demo tool=delete input={} count=1 rate=0',
  multi_input: () => '/demo tool=delete input={"file":1} tool=delete input={"file":2} count=1 rate=0',
  test_tool_with_task: () => '/demo tool=delete input={} count=1 rate=0',
}

interface Body {
  readonly method?: string
  readonly params?: {
    readonly name?: string
    readonly arguments?: object
    readonly inputResponses?: Readonly<Record<string, { readonly content?: { readonly confirm?: unknown } }>>
  }
}

/** Names the agent instead of the suite's tools, and the field of Parley's form instead of theirs. Everything else passes unchanged. */
function translate(text: string): { readonly body: string; readonly isAsked: boolean } {
  const body = JSON.parse(text) as Body
  const { name = '', arguments: given = {}, inputResponses } = body.params ?? {}
  const ask = body.method === 'tools/call' ? ASKED[name] : undefined
  const named = ask === undefined ? {} : { name: 'ask', arguments: { message: ask(given), keep: true } }
  const answers = Object.entries(inputResponses ?? {}).map(([key, each]) => {
    const { confirm } = each.content ?? {}
    return [key, confirm === undefined ? each : { ...each, content: { approve: confirm } }] as const
  })
  const answered = inputResponses === undefined ? {} : { inputResponses: Object.fromEntries(answers) }
  return {
    body: JSON.stringify({ ...body, params: { ...body.params, ...named, ...answered } }),
    isAsked: ask !== undefined,
  }
}

function startTranslator(target: string): Promise<HttpServer> {
  const http = createHttpServer(async (request, response) => {
    const chunks = await request.toArray()
    const { body, isAsked } = translate(Buffer.concat(chunks).toString())
    const { host, connection, 'content-length': length, ...headers } = request.headers as Record<string, string>
    // A wrong header stays wrong.
    if (isAsked && headers['mcp-name'] !== undefined && headers['mcp-name'] in ASKED) headers['mcp-name'] = 'ask'
    const answer = await fetch(target, { method: 'POST', headers, body })
    response.writeHead(answer.status, { 'Content-Type': answer.headers.get('content-type') ?? '' })
    for await (const chunk of answer.body ?? []) response.write(chunk)
    response.end()
  })
  return new Promise((resolve) => http.listen(0, '127.0.0.1', () => resolve(http)))
}

beforeAll(async () => {
  if (!existsSync(join(CACHE, 'node_modules', 'node', 'bin', 'node'))) {
    mkdirSync(CACHE, { recursive: true })
    await run('npm', ['install', '--no-audit', '--no-fund', '--prefix', CACHE, ...PACKAGES])
  }
  folder = mkdtempSync(join(tmpdir(), 'parley-conformance-'))
  const config = await loadConfig({ PARLEY_DATA: folder, PARLEY_PORT: '0', PARLEY_DRAIN: '1' }, folder)
  const tools = [
    defineTool({ name: 'delete', inputSchema: { type: 'object' }, approval: true, execute: () => 'deleted' }),
  ]
  server = await createServer({ ...config, tools }, pino({ level: 'silent' }), { mcpTools: CONFORMANCE_TOOLS })
  translator = await startTranslator(`${server.url}/mcp`)
})
afterAll(async () => {
  translator?.close()
  await server?.close()
  rmSync(folder, { recursive: true, force: true })
})

const modules = join(CACHE, 'node_modules')

async function runSuite(url: string, name: string, options: readonly string[]) {
  const suite = join(modules, '@modelcontextprotocol', 'conformance', 'dist', 'index.js')
  const args = [suite, 'server', '--url', url, ...options, '--timeout', '20000', '-o', join(folder, name)]
  const { stdout, code = 0 } = (await run(join(modules, 'node', 'bin', 'node'), args, { maxBuffer: 2 ** 26 }).catch(
    (error: { stdout: string; code: number }) => error,
  )) as { stdout: string; code?: number }
  return { stdout, code }
}

it.each([
  ['2025-11-25', 46],
  ['2026-07-28', 136],
])('the suite for %s passes, except the expected failures', async (requirements, checks) => {
  const expected = fileURLToPath(new URL(`mcp-failures-${requirements}.yml`, import.meta.url))
  const options = ['--requirements', requirements, '--expected-failures', expected]
  const { stdout, code } = await runSuite(`${server.url}/mcp`, requirements, options)
  const summary = stdout.slice(stdout.indexOf('=== SUMMARY ==='))
  expect(code, summary).toBe(0)
  expect(Number(/Total: (\d+) passed/.exec(summary)?.[1]), summary).toBeGreaterThanOrEqual(checks)
})

interface Check {
  readonly id: string
  readonly status: string
  readonly errorMessage?: string
}

// Never with --spec-version: the suite then skips these scenarios, and reports success.
it.each<[string, number, readonly string[]]>([
  // A run that fails is a tool that failed, so no task of Parley is `failed`.
  ['tasks-lifecycle', 8, ['sep-2663-tasks-get-status-failed']],
  ['tasks-capability-negotiation', 5, []],
  ['tasks-wire-fields', 4, []],
  ['tasks-request-state-removal', 3, []],
  ['tasks-mrtr-input', 4, []],
  ['tasks-request-headers', 5, []],
  ['tasks-dispatch-and-envelope', 9, []],
  // No tool needs a task: without the extension, a call waits for the answer.
  ['tasks-required-task-error', 1, ['sep-2663-server-returns-missing-capability-when-required']],
  // With `keep`, a call is a task at once, and its questions are those of the task.
  ['tasks-mrtr-composition', 1, ['sep-2663-mrtr-synchronous-before-task-creation']],
])('%s passes %i checks, and fails %j', async (scenario, passed, failed) => {
  const { port } = translator.address() as AddressInfo
  await runSuite(`http://127.0.0.1:${port}/mcp`, scenario, ['--scenario', scenario])
  const [results = ''] = readdirSync(join(folder, scenario))
  const checks = JSON.parse(readFileSync(join(folder, scenario, results, 'checks.json'), 'utf8')) as Check[]
  const failures = checks.filter(({ status }) => status !== 'SUCCESS')
  expect(
    failures.map(({ id }) => id),
    JSON.stringify(failures),
  ).toEqual(failed)
  expect(checks.length - failures.length).toBe(passed)
})
