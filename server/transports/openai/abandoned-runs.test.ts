// Messages whose storing succeeds only in part, so that their clients get an error: the runs that they start end nevertheless, if their
// clients cannot find them. No run is driven.
import { ReplyError, type Send } from '@parley/protocol'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Caller } from '../../session/commands/caller.ts'
import type { SessionService } from '../../session/session-service.ts'
import { findRun } from '../../session/state/session-state.ts'
import { TransportHarness } from '../test/transport-harness.ts'
import { AbandonedRuns } from './abandoned-runs.ts'
import { type OpenAiTransport, openOpenAiTransport } from './openai-transport.ts'

const ADA: Caller = { connection: 'a', user: 'ada', role: 'owner' }
const logger = pino({ enabled: false })
let h: TransportHarness
let openAi: OpenAiTransport
/** What `send` throws before and after it has stored the message. */
let before: ReplyError | undefined
let after: ReplyError | undefined
let sent: string[]
let deleted: string[]

const deleteSession = async (session: string): Promise<void> => void deleted.push(session)
const faulty = (service: SessionService): SessionService => ({
  ...service,
  async send(command, caller) {
    sent.push(command.session)
    if (before !== undefined) throw before
    const receipt = await service.send(command, caller)
    if (after !== undefined) throw after
    return receipt
  },
})

beforeEach(async () => {
  before = undefined
  after = new ReplyError('unavailable')
  sent = []
  deleted = []
  h = await TransportHarness.open({
    routes: (ports) => {
      openAi = openOpenAiTransport({
        ...ports,
        service: faulty(ports.service),
        logger,
        models: ['demo'],
        bodyBytes: 1_000_000,
        unsupported: () => [],
        acceptsFile: () => true,
        inputTokens: () => 1,
        graceMs: 0,
        deleteSession,
      })
      return openAi.routes
    },
  })
})
afterEach(() => h.close())

/** How each run of a session ended. */
const endsOf = (session: string): Promise<readonly string[]> =>
  h.sessions.with(session, async ({ state }) =>
    state.messages.map(({ event }) => findRun(state, event.run)?.ended?.reason ?? 'open'),
  )

const message = (more: Partial<Send> = {}): Send => ({ type: 'send', id: 'm', session: 's', content: 'hi', ...more })

/** Sends a message. A node that shuts down looks for its run at once. @returns the code of the error */
async function send(command: Send, isStored = true): Promise<unknown> {
  const { sessions, stores } = h
  const abandoned = new AbandonedRuns({
    service: faulty(h.service),
    sessions,
    stores,
    logger,
    graceMs: 0,
    deleteSession,
  })
  const error = await abandoned.send(command, ADA, isStored).catch((thrown: unknown) => thrown)
  await abandoned.close()
  return (error as ReplyError).code
}

describe('a message that is stored without an acknowledgement', () => {
  it('has no run afterwards', async () => {
    expect(await send(message())).toBe('unavailable')
    expect(await endsOf('s')).toEqual(['cancelled'])
    expect(deleted).toEqual([])
  })

  it('leaves no session if its answer must not be stored', async () => {
    await send(message(), false)
    expect(deleted).toEqual(['s'])
  })

  it('ends no run of another message, also if it steers that run', async () => {
    await h.service.send(message({ id: 'first' }), ADA)
    const run = await h.sessions.with('s', async ({ state }) => state.open[0]?.id ?? '')
    const started = {
      type: 'run.started',
      run,
      epoch: 1,
      mode: 'new',
      model: 'demo',
      message: 'first',
      next: 0,
    } as const
    await h.append('s', `run.${run}`, started)
    await send(message({ policy: 'steer' }))
    expect(await endsOf('s')).toEqual(['open', 'open'])
  })

  it('is searched again while the log is not available', async () => {
    const { head } = h.stores.log
    let looks = 0
    h.stores.log.head = async (session) => {
      looks += 1
      if (looks === 1) throw new ReplyError('unavailable')
      return head.call(h.stores.log, session)
    }
    const { sessions, stores } = h
    const ports = { service: faulty(h.service), sessions, stores, logger, graceMs: 0, deleteSession }
    await expect(new AbandonedRuns(ports).send(message(), ADA, true)).rejects.toThrow()
    await expect.poll(() => endsOf('s'), { timeout: 20_000 }).toEqual(['cancelled'])
  })
})

it('a message that is not stored leaves nothing to do', async () => {
  before = new ReplyError('unavailable')
  expect(await send(message(), false)).toBe('unavailable')
  before = new ReplyError('queue_full')
  expect(await send(message(), false)).toBe('queue_full')
  expect([await endsOf('s'), deleted]).toEqual([[], []])
})

it.each([
  ['/v1/chat/completions', { messages: [{ role: 'user', content: 'hi' }] }],
  ['/v1/responses', { input: 'hi' }],
  ['/v1/responses', { input: 'hi', background: true }],
])('a client of %s cannot find the run, unless its request has a key (%j)', async (path, body) => {
  const post = async (headers: Record<string, string>) => {
    const all = { 'Content-Type': 'application/json', ...headers }
    const init = { method: 'POST', headers: all, body: JSON.stringify({ model: 'demo', ...body }) }
    return (await h.fetch(path, init)).status
  }
  expect([await post({}), await post({ 'Idempotency-Key': 'key' })]).toEqual([503, 503])
  await openAi.close()
  expect(await Promise.all(sent.map(endsOf))).toEqual([['cancelled'], ['open']])
})
