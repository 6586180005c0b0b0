// Random HTTP requests to every route, and damaged request heads: no answer is an internal error, and each that names a
// route has a documented status.
import { connect } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { FUZZ_MS, FuzzedServer } from './fuzzed-server.ts'
import { damaged, largeRequests, mutated } from './mutation.ts'

/** Time for the answer; streams and damaged requests have none that ends. */
const ANSWER_MS = 250

let fuzzed: FuzzedServer
let routes: readonly { readonly method: string; readonly path: string; readonly statuses: readonly string[] }[]
beforeAll(async () => {
  fuzzed = await FuzzedServer.start()
  const document = (await (await fetch(`${fuzzed.origin}/openapi.json`)).json()) as {
    readonly paths: Record<string, Record<string, { readonly responses: Record<string, unknown> }>>
  }
  routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { responses }]) => ({
      method: method.toUpperCase(),
      path,
      statuses: Object.keys(responses),
    })),
  )
})
afterAll(() => fuzzed.dispose())

const part = fc.oneof(
  fc.constantFrom('s1_0', 's2_0', 'r1', 'job_x', '%00', '%FF', '..', 'x'.repeat(300)),
  fc.webSegment(),
)
const query = fc.array(
  fc.tuple(
    fc.constantFrom('after', 'since', 'wait', 'run', 'limit', 'heartbeat', 'merge', 'format', 'access_token', 'q'),
    fc.oneof(fc.constantFrom('', '0', '1', '-1', '1e9', 'null', 'e.1'), fc.webQueryParameters()),
  ),
  { maxLength: 3 },
)
const header = fc.tuple(
  fc.constantFrom(
    'Accept',
    'Prefer',
    'Idempotency-Key',
    'Last-Event-ID',
    'Authorization',
    'Origin',
    'Content-Type',
    'Range',
    'If-None-Match',
    'Connection',
    'Upgrade',
  ),
  fc.oneof(
    fc.constantFrom(
      'text/event-stream',
      'application/x-ndjson',
      'application/json',
      'wait=1',
      'respond-async',
      '*/*',
      'Bearer x',
      'null',
      '"k"',
    ),
    fc.stringMatching(/^[\x20-\x7e]{0,60}$/),
  ),
)
const message = fc.record({
  role: fc.constantFrom('user', 'assistant', 'system', 'tool'),
  content: fc.string({ minLength: 1 }),
})
const body = mutated(
  fc.oneof(
    fc.record({
      content: fc.constantFrom('/demo count=3 rate=0 ttft=0', 'Hi.'),
      policy: fc.constantFrom('queue', 'interrupt'),
    }),
    fc.record({
      model: fc.constant('demo'),
      messages: fc.array(message, { minLength: 1, maxLength: 4 }),
      stream: fc.boolean(),
    }),
    fc.record({
      model: fc.constant('demo'),
      input: fc.oneof(fc.string(), fc.array(message, { maxLength: 4 })),
      stream: fc.boolean(),
      background: fc.boolean(),
    }),
    fc.record({ model: fc.constant('demo'), prompt: fc.string() }),
    fc.record({ decision: fc.constantFrom('approve', 'deny') }),
    fc.record({ question: fc.constant('q'), action: fc.constantFrom('accept', 'cancel'), content: fc.jsonValue() }),
    fc.record({ title: fc.string(), role: fc.constantFrom('owner', 'editor', 'viewer') }),
    fc.record({ output: fc.jsonValue() }),
  ),
)

const request = fc
  .record({
    route: fc.nat(),
    parts: fc.array(part, { minLength: 4, maxLength: 4 }),
    query,
    headers: fc.array(header, { maxLength: 3 }),
    body,
    chunked: fc.boolean(),
  })
  .map(({ route, parts, query: pairs, headers, body: value, chunked }) => {
    const { method, path, statuses } = routes[route % routes.length] as (typeof routes)[number]
    let used = 0
    const filled = path.replace(/\{\w+\}/g, () => encodeURI(parts[used++ % parts.length] ?? 's'))
    const search = new URLSearchParams(pairs).toString()
    const text = method === 'GET' || value === undefined ? '' : JSON.stringify(value)
    const length = Buffer.byteLength(text)
    const rest = chunked
      ? `Transfer-Encoding: chunked\r\n\r\n${length === 0 ? '' : `${length.toString(16)}\r\n${text}\r\n`}0\r\n\r\n`
      : `Content-Length: ${length}\r\n\r\n${text}`
    const lines = [['Host', '127.0.0.1'], ['Content-Type', 'application/json'], ...headers].map(
      ([name, of]) => `${name}: ${of}\r\n`,
    )
    const head = `${method} ${filled}${search === '' ? '' : `?${search}`} HTTP/1.1\r\n${lines.join('')}`
    return { text: `${head}${text === '' && method === 'GET' ? '\r\n' : rest}`, statuses }
  })

const large = largeRequests.map((text) => ({
  text: `POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  statuses: ['200', '422'],
}))

it('are answered without an internal error', { timeout: FUZZ_MS * 2 + 60_000 }, async () => {
  const input = fc.tuple(
    fc.oneof(
      { weight: 20, arbitrary: fc.array(request, { minLength: 1, maxLength: 5 }) },
      { weight: 1, arbitrary: large.map((one) => [one]) },
    ),
    damaged(request.map(({ text }) => text)),
    fc.array(fc.nat(2_000), { maxLength: 3 }),
  )
  let attempts = 0
  const tried = await fuzzed.fuzz(input, async ([inputs, broken, cuts]) => {
    attempts += 1
    // Sessions of this try alone: the others may be deleted.
    const whole = inputs.map(({ text, statuses }) => ({
      text: text.replace(/\/(s\d)_0/g, `/$1_${attempts}`),
      statuses,
    }))
    const answers = await Promise.all([
      ...whole.map(({ text }) => exchange(Buffer.from(text), cuts)),
      exchange(broken, cuts),
    ])
    for (const [index, answer] of answers.entries()) {
      const [, status] = /^HTTP\/1\.1 (\d{3})/.exec(answer) ?? []
      expect(answer).not.toMatch(/"code":"internal"|^HTTP\/1\.1 500/)
      const documented = whole[index]?.statuses
      if (status !== undefined && documented !== undefined)
        expect(
          [...documented, '101', '400', '404', '405', '413', '426', '431', '505'],
          whole[index]?.text.slice(0, 4_000),
        ).toContain(status)
    }
  })
  expect(tried).toBeGreaterThan(FUZZ_MS / 1_000)
})

/** Sends the bytes in pieces. @returns what has been received when the answer's head is there, or after a while */
async function exchange(bytes: Buffer, cuts: readonly number[]): Promise<string> {
  const socket = connect(fuzzed.server.port, '127.0.0.1')
  let text = ''
  const finished = new Promise<void>((resolve) => {
    socket.on('data', (data) => {
      text += data.toString('latin1')
      if (text.includes('\r\n\r\n')) setImmediate(resolve)
    })
    socket.once('close', () => resolve())
    // Connections may be reset while bytes are on their way.
    socket.once('error', () => resolve())
  })
  socket.setNoDelay(true)
  let from = 0
  for (const to of [...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length]) {
    if (to === from) continue
    await new Promise((resolve) => socket.write(bytes.subarray(from, to), resolve))
    from = to
  }
  await Promise.race([finished, new Promise((resolve) => setTimeout(resolve, ANSWER_MS))])
  socket.destroy()
  return text
}
