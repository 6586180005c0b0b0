// The official clients at the MCP endpoint, in both eras: calls with progress, cancels, approvals, disconnects and resumes.
import { Client as FirstClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as FirstTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ACCEPT, answerOf, type Json, McpHarness, MODERN, type Mode, meta, request } from './test/mcp-harness.ts'

let h: McpHarness
beforeAll(async () => {
  h = await McpHarness.open()
})
afterAll(() => h.close())

const MODES: readonly [string, Mode][] = [
  ['legacy', 'legacy'],
  ['auto', 'auto'],
  ['pinned', { pin: MODERN }],
]
const asking = (message: string, more: Json = {}, name = 'ask') => ({ name, arguments: { message, ...more } })
const PAY = '/demo tool=pay input={"to":"Ann"} count=3 rate=0'
const FOREVER = '/demo count=100000 rate=50 ttft=0'
const ENDED = ['completed', 'cancelled', 'failed', 'superseded']

describe.each(MODES)('the official client (%s)', (era, mode) => {
  it('lists the agents, and asks one, with progress', async () => {
    const client = await h.client(mode)
    expect(client.getProtocolEra()).toBe(era === 'legacy' ? 'legacy' : 'modern')
    const { tools } = await client.listTools()
    expect(tools.map(({ name, description }) => [name, description])).toEqual([
      ['ask', 'Asks the assistant of this server.'],
      ['ask_writer', 'Writes texts.'],
    ])
    const progress: { progress: number; message?: string | undefined }[] = []
    const onprogress = (each: { progress: number; message?: string | undefined }) => progress.push(each)
    const result = await client.callTool(asking('/demo count=5 rate=100 ttft=200', {}, 'ask_writer'), { onprogress })
    const text = '0 1 2 3 4'
    expect(result).toMatchObject({ content: [{ type: 'text', text }], structuredContent: { text, state: 'completed' } })
    expect(progress.map(({ message }) => message).join('')).toBe(text)
    const values = progress.map(({ progress: value }) => value)
    expect(values).toEqual([...new Set(values)].sort((a, b) => a - b))
    // The session continues.
    const { session, run } = result.structuredContent as { session: string; run: string }
    const next = await client.callTool(asking('/demo count=1 rate=0', { session }))
    expect(next.structuredContent).toMatchObject({ session, text: '0' })
    expect((next.structuredContent as { run: string }).run).not.toBe(run)
  })

  it('approves and denies a tool call', async () => {
    const questions: string[] = []
    let content: Json = { approve: true }
    const client = await h.client(mode, (message) => {
      questions.push(message)
      return { action: 'accept', content }
    })
    const approved = await client.callTool(asking(PAY))
    expect(approved.structuredContent).toMatchObject({ state: 'completed', text: expect.stringContaining('paid') })
    content = { approve: false }
    const denied = await client.callTool(asking(PAY))
    expect(denied.structuredContent).toMatchObject({ text: expect.stringContaining('denied') })
    expect(questions).toHaveLength(2)
    expect(questions[0]).toContain('{"to":"Ann"}')
  })

  it('waits for the decision of somebody else if it cannot ask', async () => {
    const client = await h.client(mode)
    const session = `elsewhere-${era}`
    const called = client.callTool(asking(PAY, { session }))
    const run = await h.runIn(session, ['waiting'])
    const [call] = run.calls as { call: string }[]
    await fetch(`${h.server.url}/v1/sessions/${session}/tools/${call?.call}/decision`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{"decision":"approve"}',
    })
    expect((await called).structuredContent).toMatchObject({ text: expect.stringContaining('paid') })
  })

  it('cancels a call, and its run', async () => {
    const client = await h.client(mode)
    const session = `cancelled-${era}`
    for (const more of [{ session }, {}]) {
      const aborter = new AbortController()
      const called = client.callTool(asking(FOREVER, more), {
        signal: aborter.signal,
        onprogress: () => aborter.abort(),
      })
      await expect(called).rejects.toThrow()
      if ('session' in more) expect(await h.runIn(session, ENDED)).toMatchObject({ state: 'cancelled' })
    }
  })
})

describe('the first official client (1.32)', () => {
  it('asks with progress', async () => {
    const client = new FirstClient({ name: 'test', version: '1' })
    await client.connect(new FirstTransport(new URL(h.url)) as never)
    const seen: string[] = []
    const result = await client.callTool(asking('/demo count=4 rate=100 ttft=200'), undefined, {
      onprogress: ({ message }) => seen.push(message ?? ''),
    })
    expect(result.structuredContent).toMatchObject({ text: '0 1 2 3', state: 'completed' })
    expect(seen.join('')).toBe('0 1 2 3')
    await client.close()
  })
})

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

describe('the state of a modern question', () => {
  const capable = meta({}, { elicitation: {} })
  const asked = async (params: Json) => {
    const { messages } = await h.modern('tools/call', { ...params, _meta: capable })
    return messages.at(-1) as { result?: Json & { requestState?: string; inputRequests?: Json }; error?: Json }
  }

  it('is bound to its call, and answers that are missing are asked for again', async () => {
    const { result } = await asked(asking(PAY))
    expect(result).toMatchObject({ resultType: 'input_required' })
    const { requestState = '', inputRequests = {} } = result ?? {}
    const [call = ''] = Object.keys(inputRequests)
    expect(inputRequests[call]).toMatchObject({ method: 'elicitation/create', params: { mode: 'form' } })
    const other = { ...asking(`${PAY} `), requestState, inputResponses: {} }
    expect((await asked(other)).error).toMatchObject({ code: -32602 })
    const again = await asked({ ...asking(PAY), requestState, inputResponses: {} })
    expect(Object.keys(again.result?.inputRequests ?? {})).toEqual([call])
    const malformed = { [call]: { action: 'accept', content: { approve: 'yes' } } }
    expect((await asked({ ...asking(PAY), requestState, inputResponses: malformed })).error).toMatchObject({
      code: -32602,
    })
    const tampered = `${requestState.slice(0, -2)}AA`
    expect((await asked({ ...asking(PAY), requestState: tampered })).error).toMatchObject({ code: -32602 })
    const inputResponses = { [call]: { action: 'decline' } }
    const denied = await asked({ ...asking(PAY), requestState, inputResponses })
    expect(denied.result).toMatchObject({ structuredContent: { state: 'completed' } })
    // Repeated, it finds the decision made.
    expect((await asked({ ...asking(PAY), requestState, inputResponses })).result).toEqual(denied.result)
  })
})

describe('a task', () => {
  const capabilities = { elicitation: {}, extensions: { 'io.modelcontextprotocol/tasks': {} } }
  const send = async (method: string, params: Json) => {
    const { messages } = await h.modern(method, { ...params, _meta: meta({ progressToken: 1 }, capabilities) })
    expect(messages).toHaveLength(1)
    return (messages[0] as { result: Json }).result
  }
  const get = (taskId: unknown) => send('tasks/get', { taskId })

  it('is made for a call that is kept, asks, and ends with the result of the call', async () => {
    const task = await send('tools/call', asking(PAY, { keep: true }))
    expect(task).toMatchObject({ resultType: 'task', taskId: expect.stringMatching(/^run_/), ttlMs: 604_800_000 })
    expect(task).not.toHaveProperty('result')
    await expect.poll(async () => (await get(task.taskId)).status).toBe('input_required')
    const { inputRequests } = (await get(task.taskId)) as { inputRequests: Json }
    const [call = ''] = Object.keys(inputRequests)
    const inputResponses = { [call]: { action: 'accept', content: { approve: true } }, other: { action: 'cancel' } }
    expect(await send('tasks/update', { taskId: task.taskId, inputResponses })).toMatchObject({
      resultType: 'complete',
    })
    await expect.poll(async () => (await get(task.taskId)).status).toBe('completed')
    expect(await get(task.taskId)).toMatchObject({
      resultType: 'complete',
      result: { resultType: 'complete', structuredContent: { text: expect.stringContaining('paid') } },
    })
    // A late cancel has no effect.
    expect(await send('tasks/cancel', { taskId: task.taskId })).toMatchObject({ resultType: 'complete' })
    expect((await get(task.taskId)).status).toBe('completed')
  })

  it('is cancelled on request', async () => {
    const { taskId } = await send('tools/call', asking(FOREVER, { keep: true }))
    expect(await send('tasks/cancel', { taskId })).toMatchObject({ resultType: 'complete' })
    expect(await get(taskId)).toMatchObject({ status: 'cancelled' })
  })

  it('of a run that fails is completed with an error of the tool', async () => {
    const { taskId } = await send('tools/call', asking('/demo fail=2 rate=0', { keep: true }))
    await expect.poll(async () => (await get(taskId)).status, { timeout: 20_000 }).toBe('completed')
    expect(await get(taskId)).toMatchObject({ result: { isError: true, structuredContent: { state: 'failed' } } })
  })
})

describe('a resource', () => {
  it.each(MODES)('is the conversation of a session (%s)', async (era, mode) => {
    const client = await h.client(mode)
    const session = `read-${era}`
    await client.callTool(asking('/demo count=3 rate=0', { session }))
    const { resourceTemplates } = await client.listResourceTemplates()
    const uri = resourceTemplates[0]?.uriTemplate.replace('{id}', session) ?? ''
    const { contents } = await client.readResource({ uri })
    const text = expect.stringMatching(
      /\*\*anonymous\*\*:\n\n\/demo count=3 rate=0\n\n\*\*Assistant\*\* \(completed\):\n\n0 1 2$/,
    )
    expect(contents).toEqual([{ uri, mimeType: 'text/markdown', text }])
    expect((await client.listResources()).resources).toEqual([])
  })
})

describe('a node that shuts down', () => {
  it('fails modern calls with going_away, and ends legacy streams, so that their clients resume them', async () => {
    const node = await McpHarness.open()
    const call = asking(FOREVER, { session: 'drained' })
    const legacy = node.send(request('tools/call', call, 1), await node.session())
    await node.runIn('drained', ['running'])
    const modern = node.modern('tools/call', asking(FOREVER, { session: 'lost' }))
    await node.runIn('lost', ['running'])
    await node.close()
    expect((await legacy).messages).toEqual([])
    expect((await legacy).ids).toHaveLength(1)
    expect((await modern).messages).toMatchObject([{ id: 1, error: { code: -32000, data: { code: 'going_away' } } }])
  })
})
