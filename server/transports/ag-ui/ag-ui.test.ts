// The AG-UI endpoint with the official clients of both versions: they reject every slip of the protocol. Also over raw requests: a
// run that is followed again, from its beginning or after an event.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HttpAgent as CurrentAgent } from '@ag-ui/client'
import { HttpAgent as EarlierAgent } from 'ag-ui-client-059'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { loadConfig } from '../../config/config.ts'
import { createServer, type Server } from '../../create-server.ts'
import { demoReasoning, demoText } from '../../model/demo-answer.ts'
import { defineTool } from '../../tool/define-tool.ts'

const folder = mkdtempSync(join(tmpdir(), 'parley-agui-'))
const pay = defineTool({ name: 'pay', inputSchema: z.object({}), approval: true, execute: () => ({ paid: true }) })
let server: Server
beforeAll(async () => {
  const config = await loadConfig({ PARLEY_DATA: folder, PARLEY_PORT: '0', PARLEY_DRAIN: '1' }, folder)
  const agents = new Map([
    ['lead', { agents: ['helper'] }],
    ['helper', {}],
  ])
  server = await createServer({ ...config, agents, tools: [pay] }, pino({ level: 'silent' }))
})
afterAll(async () => {
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

let count = 0
const fresh = (prefix: string): string => {
  count += 1
  return `${prefix}_${count}`
}
const thread = (): string => fresh('t')
const user = (content: string) => ({ id: fresh('u'), role: 'user' as const, content })

interface Event {
  readonly type: string
  readonly [field: string]: unknown
}

const VERSIONS = [
  ['0.0.59', EarlierAgent],
  ['1.0.0', CurrentAgent],
] as const

/** Runs the agent, which rejects what its version does not accept. @returns the events */
async function ran(agent: CurrentAgent, parameters: object = {}): Promise<Event[]> {
  const seen: Event[] = []
  await agent.runAgent(parameters, {
    onEvent: ({ event }: { event: unknown }) => void seen.push(event as Event),
  })
  return seen
}

describe.each(VERSIONS)('a client of AG-UI %s', (version, Agent) => {
  const isCurrent = version === '1.0.0'
  const agentFor = (content: string, more: object = {}): CurrentAgent => {
    const url = `${server.url}/v1/ag-ui`
    return new Agent({ url, threadId: thread(), initialMessages: [user(content)], ...more } as never) as never
  }

  it('gets text, reasoning, streamed arguments, results, state, sources and progress', async () => {
    const input = '{"steps":3,"ms":1}'
    const asked = `/demo count=5 rate=0 reasoning=2 pieces=3 sources=1 files=1 tool=demo_report input=${input}`
    const agent = agentFor(asked)
    const seen = await ran(agent)
    const types = seen.map(({ type }) => type)
    expect(types[0]).toBe('RUN_STARTED')
    expect(types.at(-1)).toBe('RUN_FINISHED')
    const deltas = (type: string) => seen.filter((event) => event.type === type).map(({ delta }) => delta)
    expect(deltas('TEXT_MESSAGE_CONTENT').join('')).toBe(demoText(asked, [{ output: { steps: 3 } }]))
    expect(deltas('REASONING_MESSAGE_CONTENT').join('')).toBe(demoReasoning(asked))
    expect(deltas('TOOL_CALL_ARGS').length).toBeGreaterThan(0)
    expect(deltas('TOOL_CALL_ARGS').join('')).toBe(input)
    expect(agent.messages.find(({ role }) => role === 'tool')).toMatchObject({ content: '{"steps":3}' })
    expect((agent.state as { report?: { rows: unknown[] } }).report?.rows).toHaveLength(3)
    const custom = seen.filter(({ type }) => type === 'CUSTOM').map(({ name }) => name)
    expect(custom).toEqual(expect.arrayContaining(['parley.progress', 'parley.source', 'parley.file']))
    // The next run continues the same session.
    agent.addMessage(user('/demo count=1 rate=0') as never)
    await ran(agent)
    expect(agent.messages.at(-1)).toMatchObject({ role: 'assistant', content: '0' })
    const page = await fetch(`${server.url}/v1/sessions/${agent.threadId}`)
    const { messages } = (await page.json()) as { messages: { role: string }[] }
    expect(messages.filter(({ role }) => role === 'user')).toHaveLength(2)
  })

  it('learns which agent works for a call, and gets its text as the result', async () => {
    const asked = '/demo ask=helper message={/demo count=3 rate=0} count=1 rate=0'
    const seen = await ran(agentFor(asked, { url: `${server.url}/v1/ag-ui/lead` }))
    const at = seen.findIndex(({ name }) => name === 'parley.agent')
    const call = seen[at - 1]?.toolCallId
    expect(seen[at - 1]).toMatchObject({ type: 'TOOL_CALL_END' })
    expect(seen[at]?.value).toEqual({ call, run: expect.stringMatching(/^run_/), agent: 'helper' })
    expect(seen.find(({ type }) => type === 'TOOL_CALL_RESULT')).toMatchObject({ toolCallId: call, content: '0 1 2' })
    // The child's text is not a text of the answer.
    expect(seen.filter(({ type }) => type === 'TEXT_MESSAGE_START')).toHaveLength(1)
  })

  it('runs a tool of its own, whose result comes with the next run', async () => {
    const agent = agentFor('/demo count=2 rate=0 tool=pick input={"of":[1,2]}')
    const tools = [{ name: 'pick', description: 'Picks one.', parameters: { type: 'object', properties: {} } }]
    await ran(agent, { tools })
    const call = agent.messages.find((message) => message.role === 'assistant' && message.toolCalls !== undefined)
    const [made] = (call as { toolCalls: { id: string; function: { name: string; arguments: string } }[] }).toolCalls
    expect(made?.function).toEqual({ name: 'pick', arguments: '{"of":[1,2]}' })
    agent.addMessage({ id: 'r1', role: 'tool', toolCallId: made?.id ?? '', content: 'two' } as never)
    await ran(agent, { tools })
    expect(agent.messages.at(-1)).toMatchObject({ role: 'assistant' })
    expect(JSON.stringify(agent.messages.at(-1))).toContain('two')
  })

  it.each([true, false])('is interrupted by an approval, and resumes the same run: %s', async (approved) => {
    const agent = agentFor('/demo count=2 rate=0 tool=pay input={}')
    const first = await ran(agent)
    const last = first.at(-1) as Event & { outcome: { type: string; interrupts: { id: string; toolCallId: string }[] } }
    expect(last).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'interrupt' } })
    const [interrupt] = last.outcome.interrupts
    expect(interrupt).toMatchObject({ reason: 'confirmation' })
    const resume = [{ interruptId: interrupt?.id, status: 'resolved', payload: { approved } }]
    const second = await ran(agent, { resume })
    expect(second.map(({ type }) => type)).not.toContain('TOOL_CALL_START')
    const result = second.find(({ type }) => type === 'TOOL_CALL_RESULT')
    expect(result).toMatchObject({ toolCallId: interrupt?.toolCallId })
    expect(result?.content).toContain(approved ? 'paid' : 'denied')
    expect(second.at(-1)).toMatchObject({ type: 'RUN_FINISHED' })
    expect(JSON.stringify(agent.messages.at(-1))).toContain('0 1')
  })

  it('is interrupted by the approvals of the agents that were asked', async () => {
    const ask = (count: number) => `ask=helper message={/demo count=${count} rate=0 tool=pay input={"for":${count}}}`
    const asked = `/demo ${ask(1)} ${ask(2)} count=2 rate=0`
    const agent = agentFor(asked, { url: `${server.url}/v1/ag-ui/lead` })
    const seen: Event[] = []
    const decided: string[] = []
    // Each child run may ask at another time.
    for (let resume: object[] | undefined; ; ) {
      const events = await ran(agent, resume === undefined ? {} : { resume })
      seen.push(...events)
      const { outcome } = events.at(-1) as Event & { outcome?: { interrupts?: { id: string; message: string }[] } }
      if (outcome?.interrupts === undefined) break
      for (const interrupt of outcome.interrupts) {
        expect(interrupt).toMatchObject({ reason: 'confirmation', toolCallId: expect.stringMatching(/^call_/) })
        expect(interrupt.message).toMatch(/^May pay run for helper, with this input: \{"for":[12]\}\?$/)
        decided.push(interrupt.message)
      }
      resume = outcome.interrupts.map(({ id }) => ({
        interruptId: id,
        status: 'resolved',
        payload: { approved: true },
      }))
    }
    expect(new Set(decided).size).toBe(2)
    expect(decided).toHaveLength(2)
    const results = seen.filter(({ type }) => type === 'TOOL_CALL_RESULT')
    expect(results.map(({ content }) => content)).toEqual(
      expect.arrayContaining([expect.stringContaining('paid'), expect.stringContaining('paid')]),
    )
    expect(results).toHaveLength(2)
    expect(JSON.stringify(agent.messages.at(-1))).toContain('0 1')
  })

  it.each([
    ['of its own', '/demo tool=demo_form input={} count=2 rate=0'],
    [
      'of an agent that was asked',
      '/demo ask=helper message={/demo tool=demo_form input={} count=1 rate=0} count=2 rate=0',
    ],
  ])('is interrupted by a question %s, and gets an invalid answer back', async (_, asked) => {
    const agent = agentFor(asked, { url: `${server.url}/v1/ag-ui/lead` })
    const first = await ran(agent)
    const { outcome } = first.at(-1) as Event & { outcome: { interrupts: Record<string, unknown>[] } }
    const [interrupt] = outcome.interrupts
    const calls = first.filter(({ type }) => type === 'TOOL_CALL_START').map(({ toolCallId }) => toolCallId)
    expect(outcome.interrupts).toHaveLength(1)
    expect(interrupt).toMatchObject({
      reason: 'input_required',
      message: expect.stringContaining('Which pizza would you like?'),
      toolCallId: calls[0],
      responseSchema: { required: ['size', 'count'] },
    })
    const resume = (payload: object): object => ({
      resume: [{ interruptId: interrupt?.id, status: 'resolved', payload }],
    })
    const refused = await fetch(`${server.url}/v1/ag-ui/lead`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ threadId: agent.threadId, runId: fresh('r'), messages: [], ...resume({ size: 'xl' }) }),
    })
    expect([refused.status, await refused.json()]).toMatchObject([422, { code: 'invalid_answer' }])
    const second = await ran(agent, resume({ size: 's', count: 2 }))
    const result = second.find(({ type }) => type === 'TOOL_CALL_RESULT')
    expect(result?.toolCallId).toBe(calls[0])
    expect(String(result?.content).replaceAll('\\', '')).toContain('"count":2')
    expect(second.at(-1)).toMatchObject({ type: 'RUN_FINISHED' })
    expect(JSON.stringify(agent.messages.at(-1))).toContain('0 1')
  })

  it('closes what is open when somebody cancels the run, or the provider fails', async () => {
    const agent = agentFor('/demo count=1000 rate=50')
    const seen: Event[] = []
    const running = agent.runAgent({}, { onEvent: ({ event }) => void seen.push(event as never) })
    await vi.waitFor(() => expect(seen.map(({ type }) => type)).toContain('TEXT_MESSAGE_CONTENT'), 20_000)
    await fetch(`${server.url}/v1/sessions/${agent.threadId}/cancel`, { method: 'POST' })
    await running
    expect(seen.at(-2)?.type).toBe('TEXT_MESSAGE_END')
    expect(seen.at(-1)).toMatchObject({
      type: 'RUN_FINISHED',
      ...(isCurrent ? { outcome: { type: 'cancelled' } } : {}),
    })
    if (!isCurrent) expect(seen.at(-1)).not.toHaveProperty('outcome')
    const failed = await ran(agentFor('/demo count=9 rate=0 fail=3'))
    expect(failed.at(-2)?.type).toBe('TEXT_MESSAGE_END')
    expect(failed.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'provider_error' })
  })
})

interface Read {
  readonly raw: string
  readonly ids: readonly string[]
  readonly events: readonly Event[]
}

/** @param cut stop reading after this many events */
async function read(body: object, cut = Number.POSITIVE_INFINITY, lastEventId?: string): Promise<Read> {
  const abort = new AbortController()
  const response = await fetch(`${server.url}/v1/ag-ui`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      ...(lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId }),
    },
    body: JSON.stringify(body),
    signal: abort.signal,
  })
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
  let raw = ''
  const decoder = new TextDecoder()
  const parsed = (): Read => {
    const blocks = raw
      .split('\n\n')
      .slice(0, -1)
      .filter((block) => block.includes('data: '))
    const events = blocks.map((block) => JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? '') as Event)
    return { raw, events, ids: blocks.flatMap((block) => /^id: (.*)$/m.exec(block)?.[1] ?? []) }
  }
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    raw += decoder.decode(chunk, { stream: true })
    if (parsed().events.length >= cut) break
  }
  abort.abort()
  return parsed()
}

const textOf = (events: readonly Event[]): string =>
  events.flatMap(({ type, delta }) => (type === 'TEXT_MESSAGE_CONTENT' ? [delta] : [])).join('')
const bodyOf = (content: string) => ({ threadId: thread(), runId: `run${count}`, messages: [user(content)], state: {} })

describe('a run that is followed again', () => {
  it('streams from its beginning, and after any event what follows it', async () => {
    const asked = '/demo count=40 rate=0 reasoning=3 pieces=2 tool=demo_report input={"steps":1,"ms":1}'
    const body = bodyOf(asked)
    const cut = await read(body, 5)
    expect(cut.events.length).toBeGreaterThan(0)
    const whole = await read(body)
    expect(textOf(whole.events)).toBe(demoText(asked, [{ output: { steps: 1 } }]))
    expect(whole.events.slice(0, 2).map(({ type }) => type)).toEqual(['RUN_STARTED', 'MESSAGES_SNAPSHOT'])
    expect(whole.events.at(-1)?.type).toBe('RUN_FINISHED')
    expect(new Set(whole.ids).size).toBe(whole.ids.length)
    for (const at of [0, 4, Math.floor(whole.ids.length / 2), whole.ids.length - 1]) {
      const rest = await read(body, undefined, whole.ids[at])
      expect(rest.ids).toEqual(whole.ids.slice(at + 1))
    }
  })

  it('has the same text over cuts while it streams', async () => {
    const asked = '/demo count=60 rate=40'
    const body = bodyOf(asked)
    let text = ''
    let last: string | undefined
    for (;;) {
      const piece = await read(body, last === undefined ? 6 : 9, last)
      text += textOf(piece.events)
      last = piece.ids.at(-1) ?? last
      if (piece.events.at(-1)?.type === 'RUN_FINISHED') break
    }
    expect(text).toBe(demoText(asked))
  })

  it('continues after a client left, if somebody follows it in time', async () => {
    const asked = '/demo count=30 rate=20'
    const body = bodyOf(asked)
    await read(body, 4)
    expect(textOf((await read(body)).events)).toBe(demoText(asked))
  })
})

describe('the stream', () => {
  it('ends with the reason if the session is deleted, and does not invite to try again', async () => {
    const body = bodyOf('/demo count=5000 rate=50')
    const reading = read(body)
    const session = `${server.url}/v1/sessions/${body.threadId}`
    await vi.waitFor(async () => expect(await (await fetch(session)).text()).toContain('running'), 20_000)
    expect((await fetch(session, { method: 'DELETE' })).ok).toBe(true)
    expect((await reading).events.at(-1)).toMatchObject({
      type: 'RUN_ERROR',
      code: 'session_deleted',
      message: 'This session was deleted.',
    })
  })

  it('has no CR, no null, no [DONE], and no empty delta', async () => {
    const { raw, events } = await read(bodyOf('/demo count=3 rate=0 reasoning=1 tool=none input={"a":null}'))
    expect(raw).not.toMatch(/\r|\[DONE\]/)
    for (const event of events) {
      expect(Object.values(event)).not.toContain(null)
      expect(event.delta).not.toBe('')
    }
  })

  it('refuses a request without a new message, with an invalid id, or for an unknown agent', async () => {
    const statuses = await Promise.all(
      [
        ['/v1/ag-ui', { threadId: thread(), runId: 'r', messages: [] }],
        ['/v1/ag-ui', { threadId: 'not an id', runId: 'r', messages: [user('hi')] }],
        ['/v1/ag-ui/nobody', { threadId: thread(), runId: 'r', messages: [user('hi')] }],
        ['/v1/ag-ui', { threadId: thread(), runId: 'r', resume: [{ interruptId: 'call_x', status: 'resolved' }] }],
      ].map(async ([path, body]) => {
        const headers = { 'Content-Type': 'application/json' }
        const init = { method: 'POST', headers, body: JSON.stringify(body) }
        return (await fetch(`${server.url}${path as string}`, init)).status
      }),
    )
    expect(statuses).toEqual([400, 400, 422, 404])
  })
})
