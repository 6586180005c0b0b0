// Presence over plain HTTP in each form: clients of plain HTTP and of WebSockets see each other.
import { EventsPage, type Presence } from '@parley/protocol'
import { afterEach, describe, expect, it } from 'vitest'
import { StreamReader } from '../test/stream-reader.ts'
import { TransportHarness } from '../test/transport-harness.ts'

let harness: TransportHarness
const aborts: AbortController[] = []

afterEach(async () => {
  for (const abort of aborts.splice(0)) abort.abort()
  await harness.close()
})

function get(query: string, headers: Record<string, string> = {}): Promise<Response> {
  const abort = new AbortController()
  aborts.push(abort)
  return harness.fetch(`/v1/sessions/s/events${query}`, { headers, signal: abort.signal })
}

function show(connection: string | undefined, state: unknown): Promise<Response> {
  return harness.fetch('/v1/sessions/s/presence', {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      ...(connection === undefined ? {} : { 'Parley-Connection': connection }),
    },
    body: JSON.stringify({ state }),
  })
}

async function watcher() {
  const client = await harness.enter()
  client.send({ type: 'attach', id: 'a', session: 's' })
  await client.next('live')
  const sees = async (wanted: (frame: Presence) => boolean): Promise<Presence> => {
    for (;;) {
      const frame = await client.next('presence')
      if (wanted(frame)) return frame
    }
  }
  return { client, sees }
}

describe('a stream', () => {
  it('is present while it is open, and gets presence as events without an id', async () => {
    harness = await TransportHarness.open()
    const { client, sees } = await watcher()
    const headers = { Accept: 'text/event-stream', 'Parley-Connection': 'reader1' }
    const stream = new StreamReader(await get('?presence=1', headers))
    const event = (await stream.until(({ event }) => event === 'presence')).at(-1)
    expect(event?.id).toBeUndefined()
    expect(JSON.parse(event?.data ?? '')).toMatchObject({ type: 'presence', session: 's', count: 2 })
    expect((await sees(({ count }) => count === 2)).members.map(({ connection }) => connection)).toContain('reader1')
    client.send({ type: 'presence', session: 's', state: { typing: true } })
    const typing = await stream.until(({ event, data }) => event === 'presence' && data.includes('typing'))
    expect(typing.at(-1)?.event).toBe('presence')
    await stream.cancel()
    expect(await sees(({ count }) => count === 1)).toMatchObject({ members: { length: 1 } })
  })

  it('is present without asking for presence, and then gets none', async () => {
    harness = await TransportHarness.open()
    const { sees } = await watcher()
    const stream = new StreamReader(await get('', { Accept: 'application/x-ndjson' }))
    await sees(({ count }) => count === 2)
    await harness.startRun('s', 'r')
    const lines: string[] = []
    while (!lines.at(-1)?.includes('run.started')) lines.push((await stream.line()) ?? '')
    expect(lines.join('\n')).not.toContain('"presence"')
  })
})

describe('a poll', () => {
  it('returns presence on request, and is present if it names its connection', async () => {
    harness = await TransportHarness.open()
    const { sees } = await watcher()
    const answer = await get('?presence=1', { 'Parley-Connection': 'poller' })
    const page = EventsPage.parse(await answer.json())
    expect(page.presence).toMatchObject({ count: 2, members: { length: 2 } })
    await sees(({ members }) => members.some(({ connection }) => connection === 'poller'))
    expect((await (await get('')).json()).presence).toBeUndefined()
  })

  it('as a long poll with a tag answers when the presence differs from the tag', async () => {
    harness = await TransportHarness.open()
    const { client } = await watcher()
    const named = { 'Parley-Connection': 'poller' }
    const page = async (query: string): Promise<EventsPage> => EventsPage.parse(await (await get(query, named)).json())
    const first = await page('?presence=1')
    const tag = first.presence?.tag ?? ''
    const poll = page(`?presence=1&wait=20&after=${first.cursor}&here=${tag}`)
    const since = performance.now()
    client.send({ type: 'presence', session: 's', state: { typing: true } })
    const changed = await poll
    expect(performance.now() - since).toBeLessThan(10_000)
    expect(changed).toMatchObject({ entries: [], live: true, cursor: first.cursor })
    expect(changed.presence?.members[0]).toMatchObject({ state: { typing: true } })
    expect(changed.presence?.tag).not.toBe(tag)
    // A client with another tag gets an answer within the pace; a client with this tag waits.
    expect((await page(`?presence=1&wait=20&after=${first.cursor}&here=else`)).presence?.tag).toBe(
      changed.presence?.tag,
    )
    const same = await page(`?presence=1&wait=0.3&after=${first.cursor}&here=${changed.presence?.tag}`)
    expect(same.presence?.tag).toBe(changed.presence?.tag)
    // An entry ends the poll at once.
    const next = page(`?presence=1&wait=20&after=${first.cursor}&here=${changed.presence?.tag}`)
    await harness.startRun('s', 'r')
    expect((await next).entries.length).toBeGreaterThan(0)
  })
})

describe('POST …/presence', () => {
  it('shows the state to the others', async () => {
    harness = await TransportHarness.open()
    const { sees } = await watcher()
    expect((await show('poster', { typing: true, device: 'phone' })).status).toBe(204)
    const { members } = await sees((frame) => frame.count === 2)
    expect(members[0]).toMatchObject({ connection: 'poster', device: 'phone', state: { typing: true } })
  })

  it('refuses a missing or foreign connection, and a large state', async () => {
    harness = await TransportHarness.open()
    const { client } = await watcher()
    const { connection } = client.frames.find((frame) => frame.type === 'welcome') as { connection: string }
    const answers = [
      await show(undefined, {}),
      await show(connection, { typing: true }),
      await show('poster', { note: 'x'.repeat(1_024) }),
      await show('poster', 'typing'),
    ]
    expect(await Promise.all(answers.map(async (answer) => (await answer.json()).code))).toEqual([
      'bad_request',
      'forbidden',
      'too_large',
      'bad_request',
    ])
  })
})
