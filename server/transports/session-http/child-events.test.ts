// GET …/events?run=…: a run alone, or with its child runs, from any cursor.
import { EventsPage, type ServerFrame } from '@parley/protocol'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { TransportHarness } from '../test/transport-harness.ts'

let harness: TransportHarness
const usage = { inputTokens: 0, outputTokens: 0 }
const parent = { run: 'lead', call: 'call_1' }

beforeEach(async () => {
  harness = await TransportHarness.open()
  await harness.startRun('s', 'lead')
  await harness.append('s', 'tool.call_1', {
    type: 'tool.called',
    ...parent,
    name: 'ask_a',
    input: { message: 'One?' },
    where: 'server',
    approval: false,
    attempt: 1,
    until: 0,
    step: 0,
    next: 0,
    child: { run: 'child', agent: 'a' },
  })
  const started = { epoch: 1, mode: 'new', model: 'demo', message: 'call_1', next: 0 } as const
  await harness.append('s', 'run.child', { type: 'run.started', run: 'child', ...started, parent, agent: 'a' })
  await harness.say('s', 'child', 0, 2)
  const ended = { type: 'run.ended', reason: 'completed', usage } as const
  await harness.append('s', 'run.child', { ...ended, run: 'child', next: 2 })
  await harness.append('s', 'tool.call_1', { type: 'tool.result', ...parent, output: '0 1', by: 'n' })
  await harness.say('s', 'lead', 0, 1)
  await harness.append('s', 'run.lead', { ...ended, run: 'lead', next: 1 })
})
afterEach(() => harness.close())

async function page(query: string): Promise<EventsPage> {
  const answer = await harness.fetch(`/v1/sessions/s/events${query}`)
  expect(answer.status).toBe(200)
  return EventsPage.parse(await answer.json())
}
const runsIn = ({ entries }: EventsPage) => [
  ...new Set(entries.flatMap(({ event }) => (event.type === 'run.output' ? [event.run] : []))),
]

it('contains child runs only if the request asks for them', async () => {
  expect(runsIn(await page('?run=lead'))).toEqual(['lead'])
  expect(runsIn(await page('?run=lead&children=true'))).toEqual(['child', 'lead'])
  expect(runsIn(await page('?run=child'))).toEqual(['child'])
})

it('contains child runs also after a cursor behind their calls', async () => {
  const { entries } = await page('?run=lead&children=true')
  const start = entries.find(({ event }) => event.type === 'run.started' && event.run === 'child')
  const rest = await page(`?run=lead&children=true&after=${start?.cursor}`)
  expect(runsIn(rest)).toEqual(['child', 'lead'])
  expect(runsIn(await page(`?run=lead&after=${start?.cursor}`))).toEqual(['lead'])
})

it('ends a stream with the run, not with its child', async () => {
  const answer = await harness.fetch('/v1/sessions/s/events?run=lead&children=true', {
    headers: { Accept: 'application/x-ndjson' },
  })
  const frames = (await answer.text())
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [JSON.parse(line) as ServerFrame]))
  const ends = frames.flatMap((frame) =>
    frame.type === 'entry' && frame.event.type === 'run.ended' ? [frame.event.run] : [],
  )
  expect(ends).toEqual(['child', 'lead'])
})
