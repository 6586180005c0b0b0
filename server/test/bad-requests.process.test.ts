// Bad requests to every route of a complete server: each gets a typed error that the OpenAPI document lists for its
// route, other clients do not notice, and afterwards the server has no more connections and hardly more memory than
// before.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { Problem } from '@parley/protocol'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { RawConnection } from '../transports/test/http-harness.ts'
import { METRICS } from './scrape.ts'
import { demoCount, StrictClient } from './strict-client.ts'

const BODY_MS = 1_000
const MB = 1024 * 1024
/** Accept 16 MiB. */
const LARGE = /^\/v1\/((chat\/)?completions|responses(\/input_tokens)?|ag-ui(\/[^/]+)?)$/
/** For conditions without an event; the timeout is generous for slow machines. */
const WAIT = { timeout: 20_000, interval: 50 }

interface Operation {
  readonly parameters?: readonly { readonly in: string; readonly name: string }[]
  readonly requestBody?: unknown
  readonly responses: Readonly<Record<string, unknown>>
}

interface Target {
  readonly method: string
  /** With parameters in braces. */
  readonly path: string
  readonly operation: Operation
}

let server: ServerProcess
let reader: StrictClient
let run = ''
/** Number of connections without any bad requests. */
let quiet = 0
let targets: readonly Target[]
const sockets: Socket[] = []
/** Connections that stay open during all tests. The last one sends a byte per second. */
const slow: RawConnection[] = []
let bytes: NodeJS.Timeout | undefined
/** Routes that the router does not serve. */
const OUTSIDE: ReadonlySet<string> = new Set(['/v1/ws', '/healthz', '/readyz'])
const SESSION = 'undisturbed'
/** Text that would add a header and a body if the server copied it into an answer. */
const SPLIT = '\r\nX-Evil: yes\r\n\r\n<p>'
const COUNT = 30_000
/** The first bytes of a TLS handshake. */
const TLS = '\x16\x03\x01\x02\x00\x01\x00'

beforeAll(async () => {
  server = await ServerProcess.start({
    ...METRICS,
    PARLEY_BODY_MS: String(BODY_MS),
    PARLEY_REQUEST_RATE: '100000',
    PARLEY_REQUEST_BURST: '100000',
  })
  const document = (await (await fetch(`${origin()}/openapi.json`)).json()) as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  }
  targets = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  )
  reader = new StrictClient(server.url)
  await reader.connect()
  await reader.attach(SESSION)
  // Includes one connection that fetch keeps alive.
  quiet = connections()
  const head = 'GET /healthz HTTP/1.1\r\n'
  // The first one begins with the bytes of TLS.
  for (const beginning of [TLS, '', head, `${head}Host: 127.0.0.1\r\nX-Slow: `]) {
    slow.push(await raw())
    slow.at(-1)?.write(beginning)
  }
  bytes = setInterval(() => slow.at(-1)?.write('x'), 1_000)
  sockets.length = 0
  run = (await reader.send(SESSION, `/demo count=${COUNT} rate=100 ttft=0`)).run ?? ''
})
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  // Another client must be able to read the whole time.
  await reader.frame((frame) => frame.type === 'entry' && frame.event.type === 'run.output')
  const picture = reader.session(SESSION)
  expect(picture.faults).toEqual([])
  expect(demoCount(COUNT).startsWith(picture.run(run).text)).toBe(true)
})
afterAll(async () => {
  clearInterval(bytes)
  for (const { socket } of slow) socket.destroy()
  reader.drop()
  await server.dispose()
})

function origin(): string {
  return `http://127.0.0.1:${server.port}`
}

/** The fault of an answer to a bad request, if any. */
async function faultOf(target: Target, answer: Response, what: string): Promise<string | undefined> {
  const text = await answer.text()
  const summary = `${target.method} ${target.path}, ${what}: ${answer.status} ${text.slice(0, 300)}`
  if (answer.headers.has('x-evil')) return `split: ${summary}`
  if (answer.status >= 500 || target.operation.responses[answer.status] === undefined) return `undocumented: ${summary}`
  if (answer.status < 400) return undefined
  return isTyped(answer, text) ? undefined : `untyped: ${summary}`
}

function isTyped(answer: Response, text: string): boolean {
  const type = answer.headers.get('content-type')
  const body: unknown = JSON.parse(text)
  if (type === 'application/problem+json') {
    const problem = Problem.safeParse(body)
    return problem.success && problem.data.requestId === answer.headers.get('x-request-id')
  }
  const { error, jsonrpc } = body as {
    readonly error?: { readonly message?: unknown; readonly type?: unknown; readonly code?: unknown }
    readonly jsonrpc?: unknown
  }
  if (jsonrpc === '2.0') {
    return type === 'application/json' && typeof error?.message === 'string' && typeof error.code === 'number'
  }
  return type === 'application/json' && typeof error?.message === 'string' && typeof error.type === 'string'
}

interface Bad {
  readonly what: string
  readonly ids?: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: BodyInit
  /** The expected status; by default any that the document lists. */
  readonly status?: number
}

async function ask(target: Target, { ids = 'nothing', query = {}, headers = {}, body }: Bad): Promise<Response> {
  const path = target.path.replace(/\{\w+\}/g, ids)
  const search = new URLSearchParams(query)
  const { method } = target
  return fetch(`${origin()}${path}?${search}`, { method, headers, ...(body === undefined ? {} : { body }) })
}

/** Sends the bad requests to all targets and checks the answers. */
async function expectRefused(at: readonly Target[], bad: (target: Target) => readonly Bad[]): Promise<void> {
  expect(at.length).toBeGreaterThan(0)
  const faults: string[] = []
  for (const target of at) {
    const each = bad(target).map(async (one) => {
      const answer = await ask(target, one)
      const problem = await faultOf(target, answer, one.what)
      if (problem !== undefined) faults.push(problem)
      if (one.status !== undefined && answer.status !== one.status) {
        faults.push(`${target.method} ${target.path}, ${one.what}: ${answer.status} instead of ${one.status}`)
      }
    })
    await Promise.all(each)
  }
  expect(faults).toEqual([])
}

const JSON_TYPE = { 'Content-Type': 'application/json' }
const withBody = (): readonly Target[] => targets.filter(({ operation }) => operation.requestBody !== undefined)
const json = (what: string, body: string, status?: number): Bad => ({
  what,
  headers: JSON_TYPE,
  body,
  ...(status === undefined ? {} : { status }),
})

describe('a complete server', () => {
  function residentMb(): number {
    const [, kb] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8')) ?? []
    return Number(kb) / 1024
  }

  const POST = 'POST /v1/sessions/s/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n'

  async function each(
    count: number,
    abuse: (connection: RawConnection, number: number) => Promise<void>,
  ): Promise<void> {
    await Promise.all(
      Array.from({ length: count }, async (_, number) => {
        const connection = await raw()
        await abuse(connection, number)
        connection.socket.destroy()
      }),
    )
  }

  const ABUSES: Readonly<Record<string, () => Promise<void>>> = {
    'bodies that never arrive': () =>
      each(50, async (connection) => {
        connection.write(`${POST}Content-Length: 100\r\n\r\n{"content":`)
        await connection.closed
        expect(connection.text).toMatch(/^HTTP\/1\.1 408 [\s\S]*"code":"body_timeout"/)
      }),
    'bodies that arrive byte by byte': () =>
      each(50, async (connection) => {
        connection.write(`${POST}Content-Length: 1000\r\n\r\n`)
        const bytes = setInterval(() => connection.write('x'), 100)
        await connection.closed
        clearInterval(bytes)
        expect(connection.text).toMatch(/^HTTP\/1\.1 408 /)
      }),
    'bodies whose sender disconnects': () =>
      each(200, async (connection) => {
        connection.write(`${POST}Content-Length: 900000\r\n\r\n${'x'.repeat(400_000)}`)
      }),
    'bodies far over the limit': () =>
      each(20, async (connection) => {
        connection.write(`${POST}Content-Length: 1000000000000\r\n\r\n${'x'.repeat(1_000)}`)
        await connection.closed
        expect(connection.text).toMatch(/^HTTP\/1\.1 413 [\s\S]*"code":"too_large"/)
      }),
    'endless chunks': () =>
      each(5, async (connection) => {
        connection.write(`${POST}Transfer-Encoding: chunked\r\n\r\n`)
        const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`
        let open = true
        void connection.closed.then(() => {
          open = false
        })
        while (open) {
          const taken = connection.socket.write(chunk)
          if (!taken)
            await Promise.race([new Promise((resolve) => connection.socket.once('drain', resolve)), connection.closed])
        }
      }),
    'header bombs': () =>
      each(20, async (connection, number) => {
        // 48 kB and more. The old build of uWebSockets.js does not answer too many headers, only too many bytes.
        const line = `X-Bomb-${number}: ${'x'.repeat(300)}\r\n`
        connection.write(
          `GET /v1/sessions/s HTTP/1.1\r\nHost: 127.0.0.1\r\n${line.repeat(number % 2 === 0 ? 500 : 150)}\r\n`,
        )
        await connection.until('\r\n\r\n')
        expect(connection.text).toMatch(/^HTTP\/1\.1 431 /)
      }),
    'data that is not HTTP': () =>
      each(50, async (connection, number) => {
        connection.write(number % 2 === 0 ? `${TLS}\r\n\r\n` : 'hello\r\n\r\n')
        await connection.closed
        expect(connection.text).toMatch(/^$|^HTTP\/1\.1 (400|505) /)
      }),
    'contradictory lengths of a body': () =>
      each(20, async (connection) => {
        connection.write(
          `${POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`,
        )
        await connection.closed
        expect(connection.text).not.toMatch(/HTTP\/1\.1 (200|404)/)
      }),
    'pipelined requests': () =>
      each(20, async (connection) => {
        connection.write('GET /v1/sessions/nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'.repeat(20))
        await Promise.race([connection.closed, connection.until('"code":"session_not_found"')])
      }),
    'streams whose reader disconnects': () =>
      each(100, async (connection, number) => {
        const accept = number % 2 === 0 ? 'text/event-stream' : 'application/x-ndjson'
        connection.write(`GET /v1/sessions/${SESSION}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: ${accept}\r\n\r\n`)
        await connection.until('run.output')
      }),
    'long polls whose client disconnects': () =>
      each(100, async (connection) => {
        connection.write('GET /v1/sessions/quiet/events?wait=60 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
      }),
    'awaited runs whose client disconnects': () =>
      each(50, async (connection, number) => {
        const body = JSON.stringify({ content: `/demo count=5 rate=20 seed=${number}` })
        connection.write(`${POST.replace('/s/', `/left_${number}/`)}Content-Length: ${body.length}\r\n\r\n${body}`)
      }),
  }

  it.each(Object.entries(ABUSES))('survives %s', async (_, abuse) => {
    await abuse()
    await expect.poll(connections, WAIT).toBeLessThanOrEqual(quiet)
    expect((await fetch(`${origin()}/healthz`, { headers: { Connection: 'close' } })).status).toBe(200)
  })

  it('does not leak memory when they are repeated', async () => {
    let before = 0
    for (let round = 0; round < 4; round += 1) {
      // The first round makes the heap and its pools as large as they are going to be, which depends on V8's version.
      if (round === 1) before = residentMb()
      for (const name of [
        'bodies whose sender disconnects',
        'endless chunks',
        'header bombs',
        'streams whose reader disconnects',
      ]) {
        await ABUSES[name]?.()
      }
    }
    await expect.poll(connections, WAIT).toBeLessThanOrEqual(quiet)
    // They have sent some 500 MB.
    expect(residentMb() - before).toBeLessThan(100)
  })
})

describe('every route', () => {
  it('refuses bodies with another media type, or invalid for their type', () =>
    expectRefused(withBody(), ({ path }) => [
      { what: 'text', headers: { 'Content-Type': 'text/plain' }, body: '{}', status: 415 },
      { what: 'a form', body: new URLSearchParams({ content: 'hi' }), status: 415 },
      { what: 'parts', body: partsOf('hi'), status: 415 },
      { what: 'no type', body: new Blob(['{"content":"hi"}']), status: 415 },
      json('half of a body', '{"content":', 400),
      json('deeply nested', '['.repeat(100_000), 400),
      { what: 'invalid UTF-8', headers: JSON_TYPE, body: new Uint8Array([123, 34, 255, 254, 34, 125]), status: 400 },
      json('too much', JSON.stringify({ content: 'x'.repeat(LARGE.test(path) ? 16 * MB : MB) }), 413),
    ]))

  it('refuses bodies with another structure', () =>
    expectRefused(withBody(), () => [
      ...['[]', 'null', '"content"', '1', 'true'].map((body) => json(body, body, 400)),
      json(
        'numbers',
        '{"content":1,"input":1,"messages":1,"model":1,"run":1,"tools":1,"decision":1,"seen":1,"error":1}',
      ),
      json(
        'lists',
        '{"content":[1],"input":[1],"messages":[1],"model":[],"run":[],"tools":[1],"decision":[],"error":[]}',
      ),
      json('a prototype', '{"__proto__":{"content":"hi"},"constructor":1}'),
    ]))

  it('refuses invalid and unknown ids', () =>
    expectRefused(
      targets.filter(({ path }) => path.includes('{')),
      ({ operation }) =>
        [
          'nothing',
          '%00',
          '%FF',
          '..%2F..%2Fetc',
          '%F0%9F%92%A9',
          'a%20b',
          'x'.repeat(400),
          '-',
          '__proto__',
          encodeURIComponent(`a${SPLIT}`),
        ].map((ids) => ({
          what: `id ${ids.slice(0, 20)}`,
          ids,
          // Otherwise valid, except that the content must not start a run.
          ...(operation.requestBody === undefined ? {} : { headers: JSON_TYPE, body: '{"content":1}' }),
        })),
    ))

  it('refuses nonsensical queries and headers', () =>
    expectRefused(targets, ({ path, operation }) => {
      const values = ['', '-1', '1e9', 'NaN', 'foreign', '.', 'e.-1', '\0', 'x'.repeat(300), '[]', '💩', `a${SPLIT}`]
      const texts = ['!', '"', 'x'.repeat(300), 'wait=-1', 'wait=1e99', '.', ', ,', '\u00fc']
      const given = operation.requestBody === undefined ? {} : { body: '{"content":1}' }
      const types = operation.requestBody === undefined ? {} : JSON_TYPE
      const of = (place: string) => (operation.parameters ?? []).filter((parameter) => parameter.in === place)
      return [
        ...of('query').flatMap(({ name }) =>
          values.map((value) => ({ what: `${name}=${value}`, query: { [name]: value }, headers: types, ...given })),
        ),
        ...[...of('header'), { name: 'Accept' }, { name: 'Authorization' }, { name: 'Origin' }].flatMap(({ name }) =>
          // Pages of any origin may read the public documents.
          name === 'Origin' && path.endsWith('.json')
            ? []
            : texts.map((text) => ({ what: `${name}: ${text}`, headers: { ...types, [name]: text }, ...given })),
        ),
      ]
    }))

  it('lists its methods in Allow', async () => {
    for (const target of targets.filter(({ path }) => !OUTSIDE.has(path))) {
      const answer = await ask({ ...target, method: 'PURGE' }, { what: 'PURGE' })
      expect([target.path, answer.status, isTyped(answer, await answer.text())]).toEqual([target.path, 405, true])
      expect(answer.headers.get('allow')?.split(', ')).toContain(target.method)
    }
  })
})

it('closes connections that never complete a request', async () => {
  await Promise.all(slow.map(({ closed }) => closed))
})

function partsOf(text: string): FormData {
  const form = new FormData()
  form.set('content', text)
  return form
}

async function raw(): Promise<RawConnection> {
  const socket = connect(server.port, '127.0.0.1')
  sockets.push(socket)
  await new Promise((resolve) => socket.once('connect', resolve))
  return new RawConnection(socket)
}

/** Number of sockets of the server's process, without the slow connections. */
function connections(): number {
  const folder = `/proc/${server.pid}/fd`
  return (
    readdirSync(folder).filter((name) => linkOf(`${folder}/${name}`).startsWith('socket:')).length -
    slow.filter(({ socket }) => !socket.destroyed).length
  )
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch (error) {
    // The descriptor was closed in the meantime.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}
