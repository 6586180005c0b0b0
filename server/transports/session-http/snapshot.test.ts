// GET /v1/sessions/{session}: the messages and answers of a session, and the cursor from which to continue.
import { SessionSnapshot } from '@parley/protocol'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { TransportHarness } from '../test/transport-harness.ts'

let harness: TransportHarness

beforeEach(async () => {
  harness = await TransportHarness.open()
})
afterEach(() => harness.close())

const get = (headers: Record<string, string> = {}) => harness.fetch('/v1/sessions/s', { headers })

async function snapshot(): Promise<SessionSnapshot> {
  const answer = await get()
  expect(answer.status).toBe(200)
  return SessionSnapshot.parse(await answer.json())
}

async function finish(run: string, next: number, reason: 'completed' | 'cancelled' = 'completed'): Promise<void> {
  const usage = { inputTokens: 1, outputTokens: next }
  await harness.append('s', `run.${run}`, { type: 'run.ended', run, reason, usage, next })
}

it('returns messages with their answers, and active and queued runs', async () => {
  await harness.startRun('s', 'one')
  await harness.say('s', 'one', 0, 3)
  await finish('one', 3)
  await harness.startRun('s', 'two')
  await harness.say('s', 'two', 0, 1)
  await harness.fetch('/v1/sessions/s/messages', {
    method: 'POST',
    body: JSON.stringify({ content: 'and then' }),
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': 'third', Prefer: 'respond-async' },
  })
  const { messages, ...rest } = await snapshot()
  const third = messages.at(-1)?.run
  expect(rest).toEqual({
    session: 's',
    title: 'hi',
    cursor: await harness.stores.log.head('s'),
    earlier: false,
    active: 'two',
    queued: [third],
    members: [],
    tools: [],
  })
  const lines = messages.map((item) =>
    item.role === 'user' ? `${item.author}: ${item.id}` : `${item.run} ${item.state}: ${item.text}`,
  )
  expect(lines).toEqual([
    'anonymous: m-one',
    'one completed:  0 1 2',
    'anonymous: m-two',
    'two running:  0',
    'anonymous: third',
    `${third} queued: `,
  ])
})

it('has the cursor from which the events continue', async () => {
  await harness.startRun('s', 'one')
  await harness.say('s', 'one', 0, 3)
  const { cursor } = await snapshot()
  await harness.say('s', 'one', 3, 4)
  const page = await (await harness.fetch(`/v1/sessions/s/events?after=${cursor}`)).json()
  expect(page.entries.map(({ event }: { event: { index: number } }) => event.index)).toEqual([3])
})

it('returns tool calls with their claims', async () => {
  await harness.startRun('s', 'one')
  const called = { run: 'one', call: 'c', name: 'look_up', input: { a: 1 }, where: 'client', approval: true } as const
  const until = Date.now() + 60_000
  await harness.append('s', 'tool.c', { type: 'tool.called', ...called, attempt: 1, until, step: 0 })
  await harness.append('s', 'tool.c', { type: 'tool.decided', run: 'one', call: 'c', decision: 'approve', by: 'ada' })
  await harness.append('s', 'tool.c', { type: 'tool.claimed', run: 'one', call: 'c', connection: 'con', until })
  const asked = { question: 'q', message: 'Sure?', schema: { type: 'object', properties: {} }, until } as const
  await harness.append('s', 'tool.c', { type: 'tool.asked', run: 'one', call: 'c', ...asked })
  const given = { action: 'accept', content: {}, by: 'ada' } as const
  await harness.append('s', 'tool.c', { type: 'tool.answered', run: 'one', call: 'c', question: 'q', ...given })
  const { messages } = await snapshot()
  expect(messages.at(-1)).toMatchObject({
    state: 'waiting',
    calls: [{ call: 'c', name: 'look_up', input: { a: 1 }, approval: true, decision: 'approve', connection: 'con' }],
  })
  const last = messages.at(-1)
  expect(last?.role === 'assistant' && last.calls[0]?.questions).toEqual([{ ...asked, ...given }])
})

it('returns the newest messages of a long session, and says that there are earlier ones', async () => {
  for (let number = 0; number < 8; number += 1) {
    await harness.startRun('s', `r${number}`)
    await harness.say('s', `r${number}`, 0, 1, () => 'x'.repeat(200_000))
    await finish(`r${number}`, 1)
  }
  const { messages, earlier } = await snapshot()
  expect([messages.length, earlier]).toEqual([4, true])
  expect(messages.at(-1)?.run).toBe('r7')
})

it('answers 304 if the client already has it', async () => {
  await harness.startRun('s', 'one')
  const etag = (await get()).headers.get('etag') ?? ''
  const again = await get({ 'If-None-Match': etag })
  expect([again.status, await again.text()]).toEqual([304, ''])
  await harness.say('s', 'one', 0, 1)
  expect((await get({ 'If-None-Match': etag })).status).toBe(200)
})

it('of an unknown session is not found, and does not create it', async () => {
  const answer = await get()
  expect([answer.status, (await answer.json()).code]).toEqual([404, 'session_not_found'])
  expect((await harness.fetch('/v1/sessions/a.b')).status).toBe(400)
})
