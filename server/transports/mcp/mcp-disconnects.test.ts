// Answers that do not reach their client at the MCP endpoint: it disconnects, resumes or repeats the call, its access token expires, or
// the node shuts down.
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ACCEPT, answerOf, type Json, McpHarness, MODERN, meta, request } from './test/mcp-harness.ts'

let h: McpHarness
beforeAll(async () => {
  h = await McpHarness.open()
})
afterAll(() => h.close())

const asking = (message: string, more: Json = {}, name = 'ask') => ({ name, arguments: { message, ...more } })
const FOREVER = '/demo count=100000 rate=50 ttft=0'
const ENDED = ['completed', 'cancelled', 'failed', 'superseded']
const TASKS = { extensions: { 'io.modelcontextprotocol/tasks': {} } }

/** A POST whose connection is closed after its first progress. @returns the ids of the events that were read */
async function cutAfterProgress(params: Json, headers: Readonly<Record<string, string>>): Promise<string[]> {
  const aborter = new AbortController()
  const response = await fetch(h.url, {
    method: 'POST',
    headers: { Accept: ACCEPT, 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(request('tools/call', params, 'one')),
    signal: aborter.signal,
  })
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString()
    if (text.includes('notifications/progress') && text.endsWith('\n')) break
  }
  aborter.abort()
  return [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id ?? '')
}

describe('a client that disconnects', () => {
  const modern = (keep: Json) => {
    const { arguments: all, name } = asking(FOREVER, keep)
    return { name, arguments: all, _meta: meta({ progressToken: 'p' }) }
  }
  const headers = { 'MCP-Protocol-Version': MODERN, 'Mcp-Method': 'tools/call', 'Mcp-Name': 'ask' }

  it('cancels its run in the modern era, unless the run is kept', async () => {
    await cutAfterProgress(modern({ session: 'cut' }), headers)
    expect(await h.runIn('cut', ENDED)).toMatchObject({ state: 'cancelled' })
    await cutAfterProgress(modern({ session: 'kept', keep: true }), headers)
    // The run of a message that steers another run is not its own to cancel.
    await cutAfterProgress(modern({ session: 'kept', policy: 'steer' }), headers)
    const { next } = (await h.runIn('kept', ['running'])) as { next: number }
    await expect.poll(async () => (await h.runIn('kept', ['running'])).next).toBeGreaterThan(next)
  })

  it('resumes in the legacy era, also after the end, and gets each event once', async () => {
    const session = await h.session()
    const call = { ...asking('/demo count=40 rate=50', { session: 'resumed' }), _meta: { progressToken: 7 } }
    const read = await cutAfterProgress(call, session)
    expect(read).toHaveLength(2)
    const resume = async (event = '') =>
      answerOf(await fetch(h.url, { headers: { Accept: 'text/event-stream', ...session, 'Last-Event-ID': event } }))
    const rest = await resume(read.at(-1))
    const texts = (messages: readonly Json[]) =>
      messages.slice(0, -1).map(({ params }) => (params as { message: string }).message)
    expect(texts(rest.messages).join('')).toBe(Array.from({ length: 39 }, (_, i) => ` ${i + 1}`).join(''))
    expect(rest.messages.at(-1)).toMatchObject({ id: 'one', result: { structuredContent: { state: 'completed' } } })
    // From the first event, and from the last one. The log has compacted the run, so no progress is left.
    for (const event of [read[0], rest.ids.at(-1)]) {
      expect((await resume(event)).messages).toMatchObject([{ id: 'one', result: {} }])
    }
  })

  it('may repeat a request in the legacy era, which has one effect', async () => {
    const session = await h.session()
    const call = asking('/demo count=2 rate=0')
    const answers = await Promise.all([1, 2].map(() => h.send(request('tools/call', call, 'same'), session)))
    const [first, second] = answers.map(({ messages }) => messages.at(-1))
    expect(first).toMatchObject({ result: { structuredContent: { text: '0 1' } } })
    expect(second).toEqual(first)
  })

  it('gets no event without data if its version cannot read it', async () => {
    const read = async (version: string) => {
      const answer = await h.send(request('tools/call', asking('/demo count=1 rate=0')), await h.session({}, version))
      return answer.ids.length - answer.messages.length
    }
    expect([await read('2025-11-25'), await read('2025-06-18')]).toEqual([1, 0])
  })
})

describe('a modern request with an Idempotency-Key', () => {
  it('that is repeated gets the answer of the first one', async () => {
    const ask = (message: string) => h.modern('tools/call', asking(message), { 'Idempotency-Key': 'a.key' })
    const result = async (message: string) => ((await ask(message)).messages.at(-1) as { result: Json }).result
    const first = await result('/demo count=2 rate=0')
    expect(first).toMatchObject({ structuredContent: { text: '0 1', state: 'completed' } })
    expect(await result('/demo count=2 rate=0')).toEqual(first)
    expect(await result('/demo count=3 rate=0')).toMatchObject({ isError: true })
  })
})

const lastOf = (messages: readonly Json[]) =>
  messages.at(-1) as { id: unknown; error?: { code: number; data: Json }; result?: Json }

describe('a node that shuts down', () => {
  it('names the runs of modern calls, makes tasks of them, ends legacy streams, and cancels no run', async () => {
    const node = await McpHarness.open()
    const session = await node.session()
    const calls = {
      legacy: () => node.send(request('tools/call', asking(FOREVER, { session: 'legacy' }), 1), session),
      old: async () =>
        node.send(request('tools/call', asking(FOREVER, { session: 'old' }), 2), await node.session({}, '2025-06-18')),
      modern: () => node.modern('tools/call', asking(FOREVER, { session: 'modern' })),
      whole: () => node.modern('tools/call', asking(FOREVER, { session: 'whole' }), { Accept: 'application/json' }),
      task: () => node.modern('tools/call', { ...asking(FOREVER, { session: 'task' }), _meta: meta({}, TASKS) }),
    }
    const answers = Object.fromEntries(Object.entries(calls).map(([name, call]) => [name, call()]))
    const runs = new Map<string, unknown>()
    for (const name of Object.keys(calls)) runs.set(name, (await node.runIn(name, ['running'])).run)
    await node.stop()
    const { legacy, old, modern, whole, task } = Object.fromEntries(
      await Promise.all(Object.entries(answers).map(async ([name, answer]) => [name, await answer] as const)),
    )
    // The client resumes the stream.
    expect([legacy?.status, legacy?.messages, legacy?.ids.length]).toEqual([200, [], 1])
    // It has no event from which it could resume.
    expect(lastOf(old?.messages ?? [])).toMatchObject({ id: 2, error: { code: -32000, data: { code: 'going_away' } } })
    for (const [name, answer, status] of [
      ['modern', modern, 200],
      ['whole', whole, 503],
    ] as const) {
      const data = { code: 'going_away', session: name, run: runs.get(name) }
      expect(answer?.status).toBe(status)
      expect(lastOf(answer?.messages ?? [])).toMatchObject({ id: 1, error: { code: -32000, data } })
    }
    const handle = lastOf(task?.messages ?? []).result
    expect(handle).toMatchObject({ resultType: 'task', status: 'working' })

    await node.start()
    for (const name of Object.keys(calls)) await node.runIn(name, ['running'])
    const got = await node.modern('tasks/get', { taskId: handle?.taskId, _meta: meta({}, TASKS) })
    expect(lastOf(got.messages).result).toMatchObject({ status: 'working' })
    await node.close()
  })
})

describe('an access token that expires', () => {
  const SECRET = 'a secret that is long enough for HS256'
  const authorization = async (exp: number | string) => {
    const token = new SignJWT({ sub: 'ann' }).setProtectedHeader({ alg: 'HS256' }).setExpirationTime(exp)
    return { Authorization: `Bearer ${await token.sign(new TextEncoder().encode(SECRET))}` }
  }

  it('ends the answers, but not their runs', async () => {
    const node = await McpHarness.open({ PARLEY_JWT_SECRET: SECRET, PARLEY_JWT_CLOCK_SKEW: '0' })
    const long = await authorization('1h')
    node.headers = long
    const session = await node.session()
    const short = await authorization(Math.floor(Date.now() / 1_000) + 2)
    const call = { ...asking('/demo count=45 rate=15 ttft=0', { session: 'legacy' }), _meta: { progressToken: 1 } }
    const [legacy, modern, whole] = await Promise.all([
      node.send(request('tools/call', call, 'one'), { ...session, ...short }),
      node.modern('tools/call', asking(FOREVER, { session: 'modern' }), short),
      node.modern('tools/call', asking(FOREVER, { session: 'whole' }), { ...short, Accept: 'application/json' }),
    ])
    expect([modern.status, whole.status]).toEqual([200, 401])
    for (const [name, { messages }] of [
      ['modern', modern],
      ['whole', whole],
    ] as const) {
      const data = { code: 'unauthenticated', session: name }
      expect(lastOf(messages)).toMatchObject({ id: 1, error: { code: -32000, data } })
      await node.runIn(name, ['running'])
    }
    expect(legacy.messages.every(({ method }) => method === 'notifications/progress')).toBe(true)
    const headers = { ...session, ...long, 'Last-Event-ID': legacy.ids.at(-1) ?? '' }
    const rest = await node.send(undefined, headers, 'GET')
    const text = [...legacy.messages, ...rest.messages.slice(0, -1)]
      .map(({ params }) => (params as { message: string }).message)
      .join('')
    const result = lastOf(rest.messages).result as { structuredContent: { text: string } }
    expect(result.structuredContent.text.startsWith(text)).toBe(true)
    await node.close()
  })
})
