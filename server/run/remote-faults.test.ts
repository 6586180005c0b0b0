// Remote agents that break the protocol or the connection: each run ends with a typed reason, or correctly where it does no harm.
import type { RunEnded } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AgentRequest, AgentServer } from '../model/agui/test/agent-server.ts'
import { EngineHarness } from './test/engine-harness.ts'

/** Milliseconds of silence that the agents `quiet` and `busy` may keep. */
const QUIET_MS = 100
const BUSY_MS = 900

type Answer = (request: AgentRequest) => void

let agent: AgentServer
let h: EngineHarness
beforeAll(async () => {
  agent = await AgentServer.start()
  const agui = agent.url
  const agents = new Map([
    ['planner', { agui }],
    ['quiet', { agui, timeoutMs: QUIET_MS }],
    ['busy', { agui, timeoutMs: BUSY_MS }],
  ])
  h = await EngineHarness.start({ agents, limits: { modelWaitMs: 1_000 } })
})
afterAll(async () => {
  await h.dispose()
  await agent.stop()
})

let sessions = 0

/** @returns the end of a run that the agent answers so */
async function endOf(answer: Answer, name = 'planner'): Promise<RunEnded> {
  sessions += 1
  const session = `s${sessions}`
  await h.send(session, 'Go', { agent: name })
  answer(await agent.next())
  return h.event(session, 'run.ended')
}

function textOf({ output = [] }: RunEnded): string {
  return output.map((part) => (part.type === 'text' ? part.text : '')).join('')
}

const DEEP = `${'['.repeat(20_000)}${']'.repeat(20_000)}`
/** Changes that each make the state 50 levels deeper. */
const NESTING = Array.from({ length: 200 }, (_, at) => ({
  op: 'add',
  path: '/a'.repeat(1 + 50 * at),
  value: JSON.parse(`${'{"a":'.repeat(50)}{}${'}'.repeat(50)}`) as unknown,
}))

const FAULTS: readonly (readonly [what: string, answer: Answer, error: object, text?: string])[] = [
  [
    'cuts the connection',
    (r) =>
      r
        .begin()
        .text('Half')
        .response.write('', () => r.cut()),
    { code: 'provider_disconnected' },
    'Half',
  ],
  [
    'ends without RUN_FINISHED',
    (r) => r.begin().text('Half').response.end(),
    { code: 'provider_disconnected', message: expect.stringMatching(/without finishing/) },
    'Half',
  ],
  [
    'ends within an event',
    (r) => r.begin().write('data: {"type":"RUN_FINI').response.end(),
    { code: 'provider_disconnected' },
  ],
  [
    'ends at once',
    (r) => r.write('').response.end(),
    { code: 'provider_garbage', message: expect.stringMatching(/without any event/) },
  ],
  [
    'reports an error',
    (r) => r.begin().text('Half').send('RUN_ERROR', { message: 'boom at http://10.0.0.1/x', code: 'E1' }),
    { code: 'provider_error', message: 'The remote agent failed: boom at [removed] (E1)', retryable: false },
    'Half',
  ],
  [
    'reports an error without words',
    (r) => r.send('RUN_ERROR', { message: null }),
    { code: 'provider_error', message: 'The remote agent failed.' },
  ],
  ['sends something else than JSON', (r) => r.begin().write('data: {x\n\n'), { code: 'provider_garbage' }],
  ['sends JSON other than events', (r) => r.begin().write('data: [1]\n\n'), { code: 'provider_garbage' }],
  [
    'sends an event without what it needs',
    (r) => r.begin().send('TEXT_MESSAGE_CONTENT', { messageId: 'm1', delta: null }),
    { code: 'provider_garbage', message: expect.stringMatching(/TEXT_MESSAGE_CONTENT/) },
  ],
  ['sends a line without end', (r) => endless(r), { code: 'provider_garbage' }],
  [
    'makes too many calls',
    (r) => manyCalls(r),
    { code: 'provider_garbage', message: expect.stringMatching(/more than 128 calls/) },
  ],
  ['answers 401', (r) => r.answer(401), { code: 'provider_unauthenticated', providerStatus: 401 }],
  ['answers 404', (r) => r.answer(404, {}, 'no'), { code: 'provider_error', providerStatus: 404, retryable: false }],
  ['answers 500', (r) => r.answer(500), { code: 'provider_error', providerStatus: 500, retryable: false }],
  [
    'answers 429',
    (r) => r.answer(429, { 'retry-after': '7' }),
    { code: 'provider_rate_limited', providerStatus: 429, retryAfterMs: 7_000, retryable: true },
  ],
  [
    'answers with a page',
    (r) => r.answer(200, { 'content-type': 'text/html; charset=utf-8' }, '<p>'),
    { code: 'provider_garbage', message: expect.stringMatching(/answers with text\/html,/) },
  ],
  [
    'answers with JSON',
    (r) => r.answer(200, { 'content-type': 'application/json' }, '{}'),
    { code: 'provider_garbage' },
  ],
  [
    'redirects',
    (r) => r.answer(307, { location: `${agent.url}/other` }),
    { code: 'provider_error', message: 'The remote agent answers with HTTP status 307.' },
  ],
  [
    'sends a state that is too large',
    (r) => r.begin().send('STATE_SNAPSHOT', { snapshot: 'x'.repeat(1_100_000) }),
    { code: 'provider_garbage' },
  ],
  [
    'sends a state that is too deep',
    (r) => r.begin().write(`data: {"type":"STATE_SNAPSHOT","snapshot":${DEEP}}\n\n`),
    { code: 'provider_garbage' },
  ],
  [
    'nests its state too deeply',
    (r) => r.begin().send('STATE_DELTA', { delta: NESTING }),
    { code: 'provider_garbage', message: expect.stringMatching(/deeper than 64 levels/) },
  ],
]

function endless(request: AgentRequest): void {
  const piece = `data: "${'x'.repeat(256 * 1024)}`
  const more = (): void => {
    if (!request.response.destroyed) request.response.write(piece, more)
  }
  request.begin()
  more()
}

function manyCalls(request: AgentRequest): void {
  request.begin()
  for (let i = 0; i < 200; i += 1) request.call(`tc_${i}`, 'x', {})
}

describe('a run fails with its reason if the remote agent', () => {
  it.each(FAULTS.map(([what, answer, error, text = '']) => ({ what, answer, error, text })))(
    '$what',
    async ({ answer, error, text }) => {
      const before = agent.requests.length
      const end = await endOf(answer)
      expect(end).toMatchObject({ reason: 'failed', error })
      expect(textOf(end)).toBe(text)
      expect(JSON.stringify(end.error)).not.toContain('127.0.0.1')
      // An accepted request is not repeated.
      expect(agent.requests.length - before).toBe(1)
      await agent.requests.at(-1)?.closed
    },
  )
})

it.each([
  ['before its headers', () => undefined],
  ['after its first event', (request: AgentRequest) => void request.begin()],
])('a run ends with provider_timeout if the remote agent is silent %s', async (_, answer) => {
  expect((await endOf(answer, 'quiet')).error).toMatchObject({ code: 'provider_timeout' })
  await agent.requests.at(-1)?.closed
})

const HARMLESS: readonly (readonly [what: string, answer: Answer, text: string])[] = [
  ['ends its lines with CRLF', (r) => r.write(lines(r, '\r\n')).response.end(), 'Hi'],
  ['ends its lines with CR', (r) => r.write(lines(r, '\r')).response.end(), 'Hi'],
  ['sends [DONE]', (r) => r.begin().text('Hi').write('data: [DONE]\n\n').finish(), 'Hi'],
  ['sends comments, ids and names', (r) => r.write(': ping\n\nid: 1\nevent: x\n').begin().text('Hi').finish(), 'Hi'],
  [
    'sends events that nobody knows',
    (r) => r.begin().send('PARLEY_FOO', { x: 1 }).send('STEP_STARTED', { stepName: 's' }).text('Hi').finish(),
    'Hi',
  ],
  [
    'sends null for what is absent',
    (r) =>
      r
        .begin()
        .send('TEXT_MESSAGE_START', { messageId: 'm1', role: null, name: null })
        .send('TEXT_MESSAGE_CONTENT', { messageId: 'm1', delta: 'Hi' })
        .finish({ outcome: null, usage: null, result: null }),
    'Hi',
  ],
  [
    'leaves its text open',
    (r) =>
      r
        .begin()
        .send('TEXT_MESSAGE_START', { messageId: 'm1', role: 'assistant' })
        .send('TEXT_MESSAGE_CONTENT', { messageId: 'm1', delta: 'Hi' })
        .finish(),
    'Hi',
  ],
  ['does not start', (r) => r.text('Hi').finish(), 'Hi'],
  [
    'writes in chunks',
    (r) =>
      r
        .begin()
        .send('TEXT_MESSAGE_CHUNK', { messageId: 'm1', role: 'assistant', delta: 'H' })
        .send('TEXT_MESSAGE_CHUNK', { delta: 'i' })
        .finish(),
    'Hi',
  ],
  ['continues after its end', (r) => r.begin().text('Hi').send('RUN_FINISHED').text('more', 'm2').response.end(), 'Hi'],
  ['keeps the connection after its end', (r) => r.begin().text('Hi').send('RUN_FINISHED'), 'Hi'],
  [
    'was cancelled by somebody else',
    (r) =>
      r
        .begin()
        .text('Hi')
        .finish({ outcome: { type: 'cancelled' } }),
    'Hi',
  ],
  [
    'repeats what the person said',
    (r) =>
      r
        .begin()
        .send('TEXT_MESSAGE_START', { messageId: 'u', role: 'user' })
        .send('TEXT_MESSAGE_CONTENT', { messageId: 'u', delta: 'Go' })
        .text('Hi')
        .finish(),
    'Hi',
  ],
  [
    'answers only in its list of messages',
    (r) =>
      r
        .begin()
        .send('MESSAGES_SNAPSHOT', { messages: [...r.input.messages, { id: 'a', role: 'assistant', content: 'Hi' }] })
        .finish(),
    'Hi',
  ],
  [
    'lists what it has streamed',
    (r) =>
      r
        .begin()
        .text('Hi')
        .send('MESSAGES_SNAPSHOT', {
          messages: [...r.input.messages, { id: 'other', role: 'assistant', content: 'Hi' }],
        })
        .finish(),
    'Hi',
  ],
]

function lines(request: AgentRequest, end: string): string {
  const { threadId, runId } = request.input
  return [
    { type: 'RUN_STARTED', threadId, runId },
    { type: 'TEXT_MESSAGE_CONTENT', messageId: 'm1', delta: 'Hi' },
    { type: 'RUN_FINISHED', threadId, runId },
  ]
    .map((event) => `data: ${JSON.stringify(event)}${end}${end}`)
    .join('')
}

describe('a run completes if the remote agent', () => {
  it.each(HARMLESS)('%s', async (_, answer, text) => {
    const end = await endOf(answer)
    expect(end).toMatchObject({ reason: 'completed' })
    expect(textOf(end)).toBe(text)
    await agent.requests.at(-1)?.closed
  })
})

it('tries again if the agent had no room for the request', async () => {
  await h.send('again', 'Go', { agent: 'planner' })
  ;(await agent.next()).answer(503)
  ;(await agent.next()).begin().text('Hi').finish()
  expect(await h.event('again', 'run.ended')).toMatchObject({ reason: 'completed' })
})

it('keeps alive by comments while it works', async () => {
  await h.send('alive', 'Go', { agent: 'busy' })
  const request = await agent.next()
  request.begin()
  const until = performance.now() + 1.5 * BUSY_MS
  const timer = setInterval(() => {
    request.write(': working\n\n')
    if (performance.now() < until) return
    clearInterval(timer)
    request.text('Hi').finish()
  }, BUSY_MS / 20)
  expect(await h.event('alive', 'run.ended')).toMatchObject({ reason: 'completed' })
})
