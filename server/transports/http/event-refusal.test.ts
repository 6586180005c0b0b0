// Temporary refusals of a route for EventSource, which never reconnects after any status but 200 (HTML standard, section
// 9.2.5): seen in Chromium, npm's eventsource 5, reqwest-eventsource and go-sse, when a node restarted.
import { ReplyError } from '@parley/protocol'
import { afterEach, describe, expect, it } from 'vitest'
import { ConnectionCount } from '../../limit/connection-count.ts'
import { StorageError } from '../../store/ports/errors.ts'
import { HttpHarness, type HttpHarnessOptions } from '../test/http-harness.ts'
import { StreamReader } from '../test/stream-reader.ts'
import type { Route } from './route.ts'

let harness: HttpHarness

afterEach(() => harness.close())

const EVENTS = { Accept: 'text/event-stream' }

async function open(handle: Route['handle'], options: HttpHarnessOptions = {}): Promise<void> {
  const route = { path: '/events', handle } as const
  harness = await HttpHarness.open(
    [
      { ...route, method: 'GET', events: true },
      { ...route, method: 'POST' },
    ],
    options,
  )
}

/** The only event of a refused request, and the milliseconds of `retry`. */
async function refusal(
  headers: Readonly<Record<string, string>> = EVENTS,
): Promise<{ readonly name: string; readonly frame: unknown; readonly retry: number }> {
  const answer = await harness.fetch('/events', { headers })
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
  const reader = new StreamReader(answer)
  const event = await reader.next()
  const [, retry] = /^:\nretry: (\d+)\nevent: /.exec(reader.text) ?? []
  // Incomplete: a clean end would mean that nothing is missing.
  await expect(reader.next()).rejects.toThrow('terminated')
  return { name: event?.event ?? '', frame: JSON.parse(event?.data ?? ''), retry: Number(retry) }
}

describe('an EventSource gets an event with 200', () => {
  it('while the node drains', async () => {
    await open(() => {
      throw new ReplyError('going_away')
    })
    const { name, frame, retry } = await refusal()
    expect(name).toBe('goaway')
    expect(frame).toEqual({ type: 'goaway', reason: 'This node is shutting down.', reconnectAfterMs: retry })
    expect(retry).toBeLessThan(2_000)
  })

  it('if it names its connection, as an agent with tools does', async () => {
    await open(() => {
      throw new ReplyError('going_away')
    })
    expect((await refusal({ ...EVENTS, 'Parley-Connection': 'c' })).name).toBe('goaway')
  })

  it('while storage is full', async () => {
    await open(() => {
      throw new StorageError('full')
    })
    expect(await refusal()).toMatchObject({ name: 'notice', frame: { code: 'storage_full', retryable: true } })
  })

  it('while the log is unreachable', async () => {
    await open(() => {
      throw new StorageError('unavailable')
    })
    const { name, frame, retry } = await refusal()
    expect(name).toBe('notice')
    const message = 'Storage is temporarily unavailable.'
    expect(frame).toEqual({ type: 'error', code: 'unavailable', message, retryable: true, retryAfterMs: retry })
  })

  it('after too many requests, with the time to wait', async () => {
    await open(({ reply }) => reply(204), { requests: { perSecond: 0.1, burst: 1 } })
    await harness.fetch('/events')
    const { name, frame, retry } = await refusal()
    expect([name, frame]).toMatchObject(['notice', { code: 'rate_limited' }])
    expect(retry).toBeGreaterThanOrEqual(9_000)
  })

  it('above the limit of connections', async () => {
    await open(({ stream }) => void stream(200, {}), {
      connections: new ConnectionCount({ total: 10, perAddress: 0 }),
    })
    expect(await refusal()).toMatchObject({ name: 'notice', frame: { code: 'rate_limited' } })
    expect(harness.transport.requests).toBe(0)
  })
})

describe('the status is sent', () => {
  it.each([
    ['for a refusal that is final', 'forbidden', 403, EVENTS],
    ['to a client that wants JSON', 'going_away', 503, { Accept: 'application/json, text/event-stream' }],
    ['to a client that wants anything else', 'going_away', 503, { Accept: 'text/event-stream;q=0, */*' }],
    [
      'to a client that accepts problems, as the SDK does',
      'going_away',
      503,
      { Accept: 'text/event-stream, application/problem+json' },
    ],
    [
      'to an SDK that does not say so',
      'going_away',
      503,
      { ...EVENTS, 'Parley-Connection': 'c', 'Parley-Door': 'sse' },
    ],
  ] as const)('%s', async (_case, code, status, headers) => {
    await open(() => {
      throw new ReplyError(code)
    })
    const answer = await harness.fetch('/events', { headers })
    expect([answer.status, await answer.json()]).toMatchObject([status, { code }])
  })

  it('to a POST', async () => {
    await open(() => {
      throw new ReplyError('going_away')
    })
    expect((await harness.fetch('/events', { method: 'POST', headers: EVENTS })).status).toBe(503)
  })
})
