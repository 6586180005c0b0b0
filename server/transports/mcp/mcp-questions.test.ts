// Questions of running tools, and what child runs need from a person, at the MCP endpoint: the official clients ask their user in both
// eras, and a client that cannot ask says where the answer is missing.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ACCEPT, type Json, McpHarness, MODERN, type Mode, meta, request } from './test/mcp-harness.ts'

let h: McpHarness
beforeAll(async () => {
  h = await McpHarness.open()
})
afterAll(() => h.close())

const MODES: readonly [string, Mode][] = [
  ['first', 'first'],
  ['legacy', 'legacy'],
  ['modern', { pin: MODERN }],
]
const ORDER = '/demo tool=order input={} count=1 rate=0'
const PAY = '/demo tool=pay input={"to":"Ann"} count=1 rate=0'
/** A message to the agent `chief`. It asks the agent `writer`, and `writer` calls the tool. */
const below = (message: string): string => `/demo ask=writer message=${JSON.stringify(message)} count=1 rate=0`
const asking = (message: string, more: Json = {}, name = 'ask') => ({ name, arguments: { message, ...more } })
const textOf = ({ structuredContent }: { structuredContent?: Json }): unknown => structuredContent?.text

/** Answers the open question of a session over HTTP. */
async function answerElsewhere(session: string): Promise<void> {
  const { calls } = (await h.runIn(session, ['waiting'])) as unknown as {
    calls: { call: string; questions: { question: string }[] }[]
  }
  const [
    {
      call,
      questions: [open],
    } = { call: '', questions: [] },
  ] = calls
  const response = await fetch(`${h.server.url}/v1/sessions/${session}/tools/${call}/answer`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ question: open?.question, action: 'accept', content: { size: 'S' } }),
  })
  expect(response.status).toBe(200)
}

describe.each(MODES)('the official client (%s)', (era, mode) => {
  it('asks its user what a tool asks', async () => {
    const asked: string[] = []
    let answer: Json = { action: 'accept', content: { size: 'M' } }
    const client = await h.client(mode, (message) => {
      asked.push(message)
      return answer
    })
    expect(textOf(await client.callTool(asking(ORDER)))).toContain('ordered M')
    for (const action of ['decline', 'cancel']) {
      answer = { action }
      expect(textOf(await client.callTool(asking(ORDER)))).toContain(`nothing ordered (${action})`)
    }
    expect(asked).toEqual(['Which size?', 'Which size?', 'Which size?'])
  })

  it('asks its user what a child run needs', async () => {
    const client = await h.client(mode, (message) => ({
      action: 'accept',
      content: message.includes('pay') ? { approve: true } : { size: 'S' },
    }))
    expect(textOf(await client.callTool(asking(below(PAY), {}, 'ask_chief')))).toContain('paid')
    expect(textOf(await client.callTool(asking(below(ORDER), {}, 'ask_chief')))).toContain('ordered S')
  })

  it('says what the run waits for if it cannot ask, and gets the answer that somebody else gives', async () => {
    const client = await h.client(mode)
    const session = `elsewhere-${era}`
    const progress: string[] = []
    const called = client.callTool(asking(ORDER, { session }), {
      onprogress: ({ message = '' }) => void progress.push(message),
    })
    await answerElsewhere(session)
    expect(textOf(await called)).toContain('ordered S')
    const words = `order asks: Which size?\nThis client is not asked: somebody must answer in the session ${session}.`
    expect(progress).toEqual(expect.arrayContaining(['Calling order.', 'order: looking for sizes', words]))
  })
})

describe.each(MODES.slice(0, 2))('the official client (%s)', (era, mode) => {
  it('closes the form when somebody else has answered', async () => {
    let closed = false
    let ask = (): void => undefined
    const asked = new Promise<void>((resolve) => {
      ask = resolve
    })
    const client = await h.client(mode, (_, signal) => {
      ask()
      return new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          closed = true
          resolve({ action: 'cancel' })
        })
      })
    })
    const session = `open-${era}`
    const called = client.callTool(asking(ORDER, { session }))
    await asked
    await answerElsewhere(session)
    expect(textOf(await called)).toContain('ordered S')
    expect(closed).toBe(true)
  })
})

describe('an answer that does not fit its form', () => {
  it('is refused in the modern era, and the client can give another one', async () => {
    const call = { ...asking(ORDER), _meta: meta({}, { elicitation: {} }) }
    const ask = async (more: Json) => (await h.modern('tools/call', { ...call, ...more })).messages.at(-1) as Json
    const { result } = (await ask({})) as { result: { inputRequests: Json; requestState: string } }
    const [key = ''] = Object.keys(result.inputRequests)
    expect(result.inputRequests[key]).toMatchObject({
      method: 'elicitation/create',
      params: { mode: 'form', message: 'Which size?', requestedSchema: { required: ['size'] } },
    })
    const { requestState } = result
    const answer = (given: Json) => ask({ requestState, inputResponses: { [key]: given } })
    expect(await answer({ action: 'accept', content: { size: 'XL' } })).toMatchObject({
      error: { code: -32602, data: { code: 'invalid_answer' } },
    })
    expect(await answer({ action: 'accept', content: { size: {} } })).toMatchObject({ error: { code: -32602 } })
    const last = await answer({ action: 'accept', content: { size: 'M' } })
    expect(textOf(last.result as Json)).toContain('ordered M')
  })

  it('gets HTTP status 400 in the legacy era, and the client can give another one', async () => {
    const session = await h.session({ elicitation: {} })
    const response = await fetch(h.url, {
      method: 'POST',
      headers: { Accept: ACCEPT, 'Content-Type': 'application/json', ...session },
      body: JSON.stringify(request('tools/call', asking(ORDER))),
    })
    const answer = async (id: string, body: Json) => h.send({ jsonrpc: '2.0', id, ...body }, session)
    let text = ''
    let id: string | undefined
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString()
      if (id !== undefined) continue
      id = /"id":"(ask\.[^"]+)"/.exec(text)?.[1]
      if (id === undefined) continue
      for (const content of [{ size: 'XL' }, { size: null }]) {
        const refused = await answer(id, { result: { action: 'accept', content } })
        expect(refused).toMatchObject({ status: 400, messages: [{ id: null, error: { code: -32602 } }] })
      }
      // A client that fails to ask has no answer; one to a question of nobody has no effect.
      expect((await answer(id, { error: { code: -32603, message: 'no window' } })).status).toBe(202)
      expect((await answer(`${id}x`, { result: { action: 'cancel' } })).status).toBe(202)
      expect((await answer(id, { result: { action: 'accept', content: { size: 'S' } } })).status).toBe(202)
    }
    expect(text).toContain('ordered S')
  })
})

it('a task asks what its tools and child runs need', async () => {
  const capabilities = { elicitation: {}, extensions: { 'io.modelcontextprotocol/tasks': {} } }
  const send = async (method: string, params: Json) => {
    const { messages } = await h.modern(method, { ...params, _meta: meta({}, capabilities) })
    return (messages[0] as { result: Json }).result
  }
  const { taskId } = await send('tools/call', asking(below(ORDER), { keep: true }, 'ask_chief'))
  const get = () => send('tasks/get', { taskId })
  await expect.poll(async () => (await get()).status).toBe('input_required')
  const { inputRequests, statusMessage } = await get()
  expect(statusMessage).toBe('order asks: Which size?')
  const [key = ''] = Object.keys(inputRequests as Json)
  const inputResponses = { [key]: { action: 'accept', content: { size: 'M' } } }
  await send('tasks/update', { taskId, inputResponses })
  await expect.poll(async () => (await get()).status).toBe('completed')
  expect(textOf((await get()).result as Json)).toContain('ordered M')
})
