// The official clients at the MCP endpoint, in both eras: calls with progress, cancels, approvals, tasks and resources.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Json, McpHarness, MODERN, type Mode, meta } from './test/mcp-harness.ts'

let h: McpHarness
beforeAll(async () => {
  h = await McpHarness.open()
})
afterAll(() => h.close())

const MODES: readonly [string, Mode][] = [
  ['first', 'first'],
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
    const { tools } = await client.listTools()
    expect(tools.map(({ name, description }) => [name, description])).toEqual([
      ['ask', 'Asks the assistant of this server.'],
      ['ask_writer', 'Writes texts.'],
      ['ask_chief', 'Asks the writer.'],
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

  it('cancels a call, and its run, in a session that it names and in a new one', async () => {
    const client = await h.client(mode)
    for (const more of [{ session: `cancelled-${era}` }, {}]) {
      const message = `${FOREVER} ${era} ${JSON.stringify(more).length}`
      const aborter = new AbortController()
      const called = client.callTool(asking(message, more), {
        signal: aborter.signal,
        onprogress: () => aborter.abort(),
      })
      await expect(called).rejects.toThrow()
      expect(await h.runIn(await h.sessionOf(message), ENDED)).toMatchObject({ state: 'cancelled' })
    }
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
    // An answer to a question that nobody asks has no effect, whatever its form.
    const inputResponses = { [call]: { action: 'accept', content: { approve: true } }, other: { action: 'none' } }
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
