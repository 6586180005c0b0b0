// Random WebSocket frames: each is answered, refused by a typed error, or closes its connection by a documented code.
import { CLOSE, type CodecName, codecs, SUBPROTOCOLS } from '@parley/protocol'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import WebSocket from 'ws'
import { MAX_DEPTH } from '../strict-client.ts'
import { FUZZ_MS, FuzzedServer } from './fuzzed-server.ts'
import { damaged, mutated } from './mutation.ts'

const DOCUMENTED = Object.values(CLOSE)
  .filter((rule) => rule !== CLOSE.internal)
  .map(({ code }) => code)
/** Time for the answers to a try's frames. */
const ANSWER_MS = 1_000
/** Time for an entry that a later frame names. */
const NAMED_MS = 10

let fuzzed: FuzzedServer
beforeAll(async () => {
  fuzzed = await FuzzedServer.start()
})
afterAll(() => fuzzed.dispose())

/** `#` becomes the number of the try, so that no try repeats the commands of another. */
const id = fc.constantFrom('i1_#', 'i2_#', 'i3_#', 'i4_#', 'i5_#', 'i6_#')
const session = fc.constantFrom('s1_#', 's2_#')
/** Become the latest run and call that the connection has received. */
const run = fc.constantFrom('$run', 'i1_#')
const call = fc.constantFrom('$call', '$call', 'i1_#')
const content = fc.oneof(
  fc.constantFrom(
    '/demo count=5 rate=0 ttft=0',
    '/demo count=50 rate=20 ttft=0',
    '/demo tool=fuzzed input={"a":1} count=2 rate=0 ttft=0',
    '/demo fail=2',
    'Hello.',
  ),
  fc.constant([
    { type: 'text', text: 'Look.' },
    { type: 'file', mediaType: 'image/png', data: 'AAAA' },
  ]),
)
const tools = fc.constant([
  { name: 'fuzzed', inputSchema: { type: 'object' }, outputSchema: { type: 'object' }, timeoutMs: 500 },
])
const policy = fc.constantFrom('queue', 'interrupt', 'reject', 'steer')
const context = fc.constant({
  messages: [
    { role: 'user', content: [{ type: 'text', text: 'Before.' }] },
    { role: 'assistant', text: 'Yes.' },
  ],
  sampling: { temperature: 1 },
})
const seen = fc.record({ run, index: fc.integer({ min: -1, max: 10 }) })

const frame: fc.Arbitrary<unknown> = fc.oneof(
  fc.record(
    { type: fc.constant('attach'), id, session, tools, merge: fc.boolean() },
    { requiredKeys: ['type', 'id', 'session'] },
  ),
  fc.record(
    { type: fc.constant('send'), id, session, content, policy, context, seen },
    { requiredKeys: ['type', 'id', 'session', 'content'] },
  ),
  fc.record({ type: fc.constant('cancel'), id, session, run, seen }, { requiredKeys: ['type', 'id', 'session'] }),
  fc.record({ type: fc.constant('tool.claim'), id, session, call }),
  fc.record({ type: fc.constant('tool.result'), id, session, call, output: fc.jsonValue() }),
  fc.record({ type: fc.constant('tool.decide'), id, session, call, decision: fc.constantFrom('approve', 'deny') }),
  fc.record(
    {
      type: fc.constant('tool.answer'),
      id,
      session,
      call,
      question: id,
      action: fc.constantFrom('accept', 'decline', 'cancel'),
      content: fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 }),
    },
    { requiredKeys: ['type', 'id', 'session', 'call', 'question', 'action'] },
  ),
  fc.record({
    type: fc.constant('presence'),
    session,
    state: fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 }),
  }),
  fc.record({ type: fc.constantFrom('ping', 'hello', 'unknown') }),
  fc.record({ type: fc.constant('token'), id, token: fc.string() }),
  fc.record({ type: fc.constant('detach'), id, session }),
)
const frames = fc.array(
  fc.oneof({ weight: 3, arbitrary: mutated(frame) }, { weight: 1, arbitrary: mutated(fc.array(frame)) }),
  {
    minLength: 1,
    maxLength: 20,
  },
)

it('are answered, refused or close their connection', { timeout: FUZZ_MS * 2 + 60_000 }, async () => {
  const input = fc.record({
    codec: fc.constantFrom<CodecName>('json', 'msgpack'),
    hello: fc.boolean(),
    frames,
    bytes: damaged(frame.map((one) => JSON.stringify(one))),
    binary: fc.boolean(),
  })
  let attempts = 0
  const tried = await fuzzed.fuzz(input, async ({ codec, hello, frames: sent, bytes, binary }) => {
    attempts += 1
    const socket = new WebSocket(fuzzed.server.url, SUBPROTOCOLS[codec])
    const received: unknown[] = []
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      const decoded = codecs[codec].decode(isBinary ? new Uint8Array(data) : data.toString(), { maxDepth: MAX_DEPTH })
      received.push(...(Array.isArray(decoded) ? decoded : [decoded]))
    })
    const closed = new Promise<number>((resolve) => socket.once('close', resolve))
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
    const write = (value: unknown): void => socket.send(codecs[codec].encode(value))
    if (hello) write({ type: 'hello' })
    for (const one of sent) {
      // What it names may come as an answer to the frame before.
      if (mentions(one, '$')) await new Promise((resolve) => setTimeout(resolve, NAMED_MS))
      if (one !== undefined) write(named(one, { '#': String(attempts), ...latest(received) }))
    }
    const answered = new Promise((resolve) => {
      socket.on('message', () => received.some(isPong) && resolve(undefined))
    })
    write({ type: 'ping', nonce: 'last' })
    await Promise.race([answered, closed, new Promise((resolve) => setTimeout(resolve, ANSWER_MS))])
    socket.send(bytes, { binary })
    const code = await Promise.race([closed, new Promise<undefined>((resolve) => setTimeout(resolve, 20))])
    socket.terminate()
    if (code !== undefined) expect([1000, 1001, 1006, 1007, 1009, ...DOCUMENTED]).toContain(code)
    expect(received.filter(isInternal)).toEqual([])
  })
  expect(tried).toBeGreaterThan(FUZZ_MS / 1_000)
})

/** The names of the latest run and call that were received. */
function latest(received: readonly unknown[]): Readonly<Record<string, string>> {
  const events = received.map((one) => (one as { event?: { run?: string; call?: string } }).event ?? {})
  const last = (name: 'run' | 'call'): string => events.findLast((event) => event[name] !== undefined)?.[name] ?? 'none'
  return { $run: last('run'), $call: last('call') }
}

function mentions(value: unknown, text: string): boolean {
  return JSON.stringify(value)?.includes(`"${text}`) === true
}

/** The value with its placeholders replaced, in short texts. */
function named(value: unknown, names: Readonly<Record<string, string>>): unknown {
  if (typeof value === 'string' && value.length < 100)
    return Object.entries(names).reduce((text, [name, of]) => text.replaceAll(name, of), value)
  if (Array.isArray(value)) return value.map((one) => named(one, names))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, of]) => [key, named(of, names)]))
}

/** An internal error of a command, or one with which a run failed. */
function isInternal(one: unknown): boolean {
  const { code, event } = one as { code?: string; event?: { error?: { code?: string } | string } }
  const failure = typeof event?.error === 'object' ? event.error.code : undefined
  return code === 'internal' || failure === 'internal'
}

function isPong(one: unknown): boolean {
  return (one as { type?: string; nonce?: string }).type === 'pong' && (one as { nonce?: string }).nonce === 'last'
}
