// GET …/events in its four forms: every form returns the same entries for the same cursors.
import { type EntryFrame, EventsPage } from '@parley/protocol'
import { afterEach, describe, expect, it } from 'vitest'
import { StreamReader } from '../test/stream-reader.ts'
import { type HarnessOptions, TransportHarness } from '../test/transport-harness.ts'

let harness: TransportHarness
const aborts: AbortController[] = []

async function open(options: HarnessOptions = {}): Promise<void> {
  harness = await TransportHarness.open(options)
}

afterEach(async () => {
  for (const abort of aborts.splice(0)) abort.abort()
  await harness.close()
})

function get(query: string, headers: Record<string, string> = {}): Promise<Response> {
  const abort = new AbortController()
  aborts.push(abort)
  return harness.fetch(`/v1/sessions/s/events${query}`, { headers, signal: abort.signal })
}

async function sse(query = '', headers: Record<string, string> = {}): Promise<StreamReader> {
  const answer = await get(query, { Accept: 'text/event-stream', ...headers })
  expect(answer.status).toBe(200)
  return new StreamReader(answer)
}

async function page(query: string, headers: Record<string, string> = {}): Promise<EventsPage> {
  const answer = await get(query, headers)
  expect(answer.status).toBe(200)
  return EventsPage.parse(await answer.json())
}

/** Appends a run with the output `0 1 2 …` and its end. */
async function finishedRun(run: string, outputs: number): Promise<void> {
  await harness.startRun('s', run)
  await harness.say('s', run, 0, outputs)
  await endRun(run, outputs)
}

function endRun(run: string, next: number): Promise<number> {
  return harness.append('s', `run.${run}`, {
    type: 'run.ended',
    run,
    reason: 'completed',
    usage: { inputTokens: 1, outputTokens: next },
    next,
  })
}

const indexes = (entries: readonly EntryFrame[]) =>
  entries.flatMap(({ event }) => (event.type === 'run.output' ? [event.index] : []))

describe('GET …/events as server-sent events', () => {
  it('sends each entry as cursor, type and one line of JSON, between `attached` and `live`', async () => {
    await open()
    await harness.startRun('s', 'r')
    await harness.say('s', 'r', 0, 1, () => 'a\n\nb')
    const answer = await get('', { Accept: 'text/event-stream' })
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    })
    const reader = new StreamReader(answer)
    const events = await reader.until(({ event }) => event === 'live')
    expect(events.map(({ event }) => event)).toEqual(['attached', 'message', 'run.started', 'run.output', 'live'])
    expect(events.map(({ id }) => id?.replace(/^[^.]+/, 'e'))).toEqual([undefined, 'e.1', 'e.2', 'e.3', undefined])
    const output = events[3]
    expect(JSON.parse(output?.data ?? '')).toEqual({
      type: 'entry',
      session: 's',
      cursor: output?.id,
      time: expect.any(Number),
      event: { type: 'run.output', run: 'r', index: 0, kind: 'text', text: 'a\n\nb' },
    })
    // The stream starts with a comment, and the first event with the reconnect time.
    expect(reader.text).toMatch(/^:\nretry: [123]\d{3}\nevent: attached\ndata: /)
    await harness.say('s', 'r', 1, 2)
    expect(await reader.next()).toMatchObject({ event: 'run.output', id: expect.stringMatching(/\.4$/) })
  })

  it('is UTF-8 in each form, also if the text is pure Latin-1', async () => {
    await open()
    await harness.startRun('s', 'r')
    const live = await sse()
    await live.until(({ event }) => event === 'live')
    await harness.say('s', 'r', 0, 1, () => 'où çà, Mädchen?')
    expect(JSON.parse((await live.next())?.data ?? '').event.text).toBe('où çà, Mädchen?')
    await endRun('r', 1)
    for (const Accept of ['application/json', 'application/x-ndjson']) {
      expect(await (await get('?run=r', { Accept })).text()).toContain('où çà, Mädchen?')
    }
  })

  it('resumes after any Last-Event-ID, which overrides `after`', async () => {
    await open()
    await finishedRun('r', 20)
    const whole = await (await sse()).until(({ event }) => event === 'live')
    const entries = whole.filter(({ id }) => id !== undefined)
    for (const [at, { id = '' }] of entries.entries()) {
      const resumed = await sse(`?after=${entries[0]?.id}`, { 'Last-Event-ID': id })
      const rest = await resumed.until(({ event }) => event === 'live')
      expect(rest.filter((event) => event.id !== undefined)).toEqual(entries.slice(at + 1))
    }
  })

  it('resets a reader with a cursor of another log', async () => {
    await open()
    await finishedRun('r', 2)
    const reader = await sse('', { 'Last-Event-ID': 'foreign.3' })
    const events = await reader.until(({ event }) => event === 'live')
    expect(JSON.parse(events[0]?.data ?? '')).toMatchObject({ type: 'attached', reset: true })
    expect(events.map(({ event }) => event)).toEqual([
      'attached',
      'message',
      'run.started',
      'run.output',
      'run.output',
      'run.ended',
      'live',
    ])
  })

  it('merges replayed outputs on request', async () => {
    await open()
    await finishedRun('r', 10)
    const events = await (await sse('?merge=true')).until(({ event }) => event === 'live')
    const outputs = events.filter(({ event }) => event === 'run.output')
    expect(outputs.map(({ data }) => JSON.parse(data).event)).toEqual([
      expect.objectContaining({ index: 0, count: 10, text: ' 0 1 2 3 4 5 6 7 8 9' }),
    ])
  })

  it('sends heartbeats on an idle stream', async () => {
    await open({ http: { heartbeatMs: 30 } })
    const reader = await sse()
    await reader.until(({ event }) => event === 'live')
    await expect.poll(() => harness.http.streams).toBe(1)
    const before = reader.text.length
    // Several heartbeats precede the next event.
    setTimeout(() => void harness.startRun('s', 'r'), 150)
    await reader.next()
    expect(reader.text.slice(before)).toMatch(/^(:\n){2,}event: /)
  })

  // httpx and okhttp-eventsource give up after 5 s of silence, OkHttp after 10 s.
  it('sends heartbeats as often as the client asks', async () => {
    await open({ http: { heartbeatMs: 60_000 } })
    const reader = await sse('?heartbeat=1')
    await reader.until(({ event }) => event === 'live')
    const before = reader.text.length
    setTimeout(() => void harness.startRun('s', 'r'), 2_600)
    await reader.next()
    expect(reader.text.slice(before)).toMatch(/^(:\n){2,}event: /)
    const refused = await get('?heartbeat=often', { Accept: 'text/event-stream' })
    expect([refused.status, (await refused.json()).path]).toEqual([400, 'query.heartbeat'])
  })

  // fetch-event-source, httpx-sse, go-sse, r3labs/sse, sseclient and LaunchDarkly's client for Go pass on a block without
  // data as an event with empty data. fetch-event-source and r3labs/sse keep the id of an event that was cut off.
  it.each(['', '?run=r'])(
    'sends no block without data, and ids as the last field, with the query %s',
    async (query) => {
      await open({ http: { heartbeatMs: 30 } })
      await harness.startRun('s', 'r')
      const reader = await sse(query)
      await reader.until(({ event }) => event === 'run.started')
      // Several heartbeats precede the next event.
      setTimeout(() => void harness.say('s', 'r', 0, 3).then(() => endRun('r', 3)), 150)
      await reader.until(({ event }) => event === 'run.ended')
      expect(reader.text).toMatch(/\n\n(:\n){2,}event: run.output\n/)
      const blocks = reader.text.slice(0, reader.text.lastIndexOf('\n\n')).split('\n\n')
      for (const block of blocks) {
        const names = block.split('\n').map((line) => line.slice(0, line.indexOf(':')))
        expect(names.filter((name) => name === 'data')).toEqual(['data'])
        const isEntry = block.includes('"type":"entry"')
        expect(names.indexOf('id')).toBe(isEntry ? names.length - 1 : -1)
      }
    },
  )

  it('reaches many readers at once', async () => {
    await open()
    const readers = await Promise.all(Array.from({ length: 20 }, () => sse()))
    await Promise.all(readers.map((reader) => reader.until(({ event }) => event === 'live')))
    await finishedRun('r', 30)
    for (const reader of readers) {
      const events = await reader.until(({ event }) => event === 'run.ended')
      expect(indexes(events.map(({ data }) => JSON.parse(data)))).toEqual(Array.from({ length: 30 }, (_, i) => i))
    }
  })

  // httpx-sse, sseclient-py, okhttp-sse, fetch-event-source and r3labs/sse take a clean end for the end of the answer.
  it.each([
    ['', 'live'],
    ['?run=r', 'run.started'],
  ])('is cut after `goaway` when the node drains, with the query %s', async (query, last) => {
    await open()
    await harness.startRun('s', 'r')
    const reader = await sse(query)
    await reader.until(({ event }) => event === last)
    harness.http.drain('the node stops', 50)
    const goaway = await reader.next()
    expect(goaway?.event).toBe('goaway')
    expect(JSON.parse(goaway?.data ?? '')).toMatchObject({ type: 'goaway', reason: 'the node stops' })
    await expect(reader.next()).rejects.toThrow('terminated')
    // An EventSource would never reconnect after a 503.
    const again = await (await sse(query)).next()
    expect(again).toMatchObject({ event: 'goaway', data: expect.stringContaining('"reconnectAfterMs":') })
    const refused = await get('', { Accept: 'application/x-ndjson' })
    expect([refused.status, (await refused.json()).code]).toEqual([503, 'going_away'])
    expect(harness.http.requests).toBe(0)
  })

  it('releases everything when its reader disconnects', async () => {
    await open({ lingerMs: 0 })
    const reader = await sse()
    await reader.until(({ event }) => event === 'live')
    expect([harness.http.requests, harness.http.streams, harness.hub.size]).toEqual([1, 1, 1])
    await reader.cancel()
    await expect.poll(() => [harness.http.requests, harness.http.streams, harness.hub.size]).toEqual([0, 0, 0])
  })
})

describe('GET …/events as NDJSON', () => {
  it('sends the same frames', async () => {
    await open()
    await finishedRun('r', 3)
    const answer = await get('', { Accept: 'application/x-ndjson' })
    expect(answer.headers.get('content-type')).toBe('application/x-ndjson; charset=utf-8')
    const reader = new StreamReader(answer)
    const events = await (await sse()).until(({ event }) => event === 'live')
    for (const { data, event } of events) {
      const line = JSON.parse((await reader.line()) ?? '')
      // The ids of the two requests differ.
      expect({ ...line, id: '' }).toEqual({ ...JSON.parse(data), id: '' })
      if (event === 'live') expect(line.type).toBe('live')
    }
  })
})

describe('GET …/events of one run', () => {
  it('sends only entries of the run, and ends with it', async () => {
    await open()
    await harness.startRun('s', 'one')
    await harness.startRun('s', 'two')
    const reader = await sse('?run=two')
    await harness.say('s', 'one', 0, 3)
    await harness.say('s', 'two', 0, 2)
    await endRun('one', 3)
    await endRun('two', 2)
    const events = await reader.until(() => false)
    expect(events.map(({ event }) => event)).toEqual([
      'message',
      'run.started',
      'run.output',
      'run.output',
      'run.ended',
    ])
    expect(events.every(({ data }) => data.includes('"run":"two"'))).toBe(true)
    await expect.poll(() => harness.http.streams).toBe(0)
  })

  it('answers 204 only after the end of the run, so that an EventSource stops', async () => {
    await open()
    await finishedRun('r', 3)
    const events = await (await sse('?run=r')).until(() => false)
    expect(events).toHaveLength(6)
    for (const [at, { id = '' }] of events.entries()) {
      const answer = await get('?run=r', { Accept: 'text/event-stream', 'Last-Event-ID': id })
      expect(answer.status).toBe(at === events.length - 1 ? 204 : 200)
      if (answer.status === 200) {
        expect(await new StreamReader(answer).until(() => false)).toEqual(events.slice(at + 1))
      }
    }
    expect((await get(`?run=r&after=${events.at(-1)?.id}`)).status).toBe(204)
  })

  it('refuses an unknown run', async () => {
    await open()
    const answer = await get('?run=nothing', { Accept: 'text/event-stream' })
    expect([answer.status, (await answer.json()).code]).toEqual([404, 'run_not_found'])
  })

  it('returns a page', async () => {
    await open()
    await finishedRun('one', 3)
    await finishedRun('two', 3)
    const { entries, cursor } = await page('?run=two')
    expect(entries.map(({ event }) => event.type)).toEqual(['message', 'run.started', 'run.output', 'run.ended'])
    expect((await get(`?run=two&after=${cursor}`)).status).toBe(204)
  })
})

describe('GET …/events as a page', () => {
  it('returns the existing entries, merged, and the next cursor', async () => {
    await open()
    await finishedRun('r', 5)
    const first = await page('')
    expect(first.live).toBe(true)
    expect(first.entries.map(({ event }) => event.type)).toEqual(['message', 'run.started', 'run.output', 'run.ended'])
    expect(first.cursor).toBe(first.entries.at(-1)?.cursor)
    const next = await page(`?after=${first.cursor}`)
    expect(next).toEqual({ cursor: first.cursor, entries: [], live: true, role: 'owner' })
  })

  it('limits the size of a page; the next pages have the rest', async () => {
    await open()
    await harness.startRun('s', 'r')
    // Kinds alternate, so that the outputs cannot be merged.
    for (let index = 0; index < 60; index += 1) {
      const kind = index % 2 === 0 ? 'text' : 'reasoning'
      const text = `${index}`.padEnd(16_000, '.')
      await harness.append('s', 'run.r', { type: 'run.output', run: 'r', index, kind, text })
    }
    const seen: number[] = []
    let pages = 0
    for (let after = ''; ; pages += 1) {
      const answer = await get(after)
      const text = await answer.text()
      expect(text.length).toBeLessThan(600_000)
      const { cursor, entries, live } = EventsPage.parse(JSON.parse(text))
      seen.push(...indexes(entries))
      after = `?after=${cursor}`
      expect(answer.headers.has('retry-after')).toBe(live)
      if (live) break
    }
    expect(seen).toEqual(Array.from({ length: 60 }, (_, i) => i))
    expect(pages).toBeGreaterThan(1)
  })

  it('answers 304 if there is nothing new, with and without a cursor', async () => {
    await open()
    await finishedRun('r', 5)
    const first = await get('')
    const etag = first.headers.get('etag') ?? ''
    const { cursor } = await first.json()
    expect(etag).toBe(`W/"${cursor}"`)
    for (const query of ['', `?after=${cursor}`, `?after=${cursor}&wait=0.05`]) {
      const again = await get(query, { 'If-None-Match': etag })
      expect([again.status, await again.text(), again.headers.get('etag')]).toEqual([304, '', etag])
    }
    await harness.startRun('s', 'r2')
    expect((await get('', { 'If-None-Match': etag })).status).toBe(200)
  })

  it('varies Retry-After between polls', async () => {
    await open()
    const times = new Set<string | null>()
    for (let polled = 0; polled < 40; polled += 1) times.add((await get('')).headers.get('retry-after'))
    expect([...times].sort()).toEqual(['1', '2', '3', '4'])
  })

  it('resets a reader with a cursor of another log', async () => {
    await open()
    await finishedRun('r', 2)
    expect(await page('?after=foreign.3')).toMatchObject({ reset: true, live: true, entries: { length: 4 } })
  })
})

describe('GET …/events as a long poll', () => {
  it('answers with the first new entry', async () => {
    await open()
    await harness.startRun('s', 'r')
    const { cursor } = await page('')
    const waiting = page(`?after=${cursor}&wait=30`)
    await expect.poll(() => harness.http.requests).toBe(1)
    await harness.say('s', 'r', 0, 1)
    const { entries, live } = await waiting
    expect([indexes(entries), live]).toEqual([[0], true])
  })

  it('neither loses nor repeats an entry between polls', async () => {
    await open()
    await harness.startRun('s', 'r')
    const saying = harness.say('s', 'r', 0, 300).then(() => endRun('r', 300))
    const seen: number[] = []
    let { cursor } = await page('')
    cursor = cursor.replace(/\.\d+$/, '.0')
    for (let ended = false; !ended; ) {
      const next = await page(`?after=${cursor}&wait=30`)
      for (const { event } of next.entries) {
        if (event.type === 'run.output') for (let i = 0; i < (event.count ?? 1); i += 1) seen.push(event.index + i)
        ended ||= event.type === 'run.ended'
      }
      cursor = next.cursor
    }
    await saying
    expect(seen).toEqual(Array.from({ length: 300 }, (_, i) => i))
  })

  it('answers with an empty page after the wait', async () => {
    await open()
    await harness.startRun('s', 'r')
    const { cursor } = await page('')
    expect(await page(`?after=${cursor}&wait=0.02`)).toEqual({ cursor, entries: [], live: true, role: 'owner' })
  })

  it('waits no longer than the operator’s maximum', async () => {
    await open({ waitMaxS: 1 })
    const startedAt = performance.now()
    expect((await page('?wait=50')).entries).toEqual([])
    expect(performance.now() - startedAt).toBeLessThan(20_000)
  })

  it('answers early when the node drains', async () => {
    await open()
    const waiting = page('?wait=60')
    await expect.poll(() => harness.http.requests).toBe(1)
    harness.http.drain('the node stops', 20)
    expect(await waiting).toMatchObject({ entries: [], live: true })
  })

  it('releases everything when its reader disconnects', async () => {
    await open({ lingerMs: 0 })
    const abort = new AbortController()
    const waiting = harness.fetch('/v1/sessions/s/events?wait=60', { signal: abort.signal })
    await expect.poll(() => [harness.http.requests, harness.hub.size]).toEqual([1, 1])
    abort.abort()
    await expect(waiting).rejects.toThrow('aborted')
    await expect.poll(() => [harness.http.requests, harness.hub.size]).toEqual([0, 0])
  })
})

describe('GET …/events', () => {
  it.each([
    ['a session with an invalid id', '/v1/sessions/a%20b/events', {}, 400, 'bad_request'],
    ['a malformed cursor', '/v1/sessions/s/events?after=nonsense', {}, 400, 'invalid_cursor'],
    ['a malformed cursor in Last-Event-ID', '/v1/sessions/s/events', { 'Last-Event-ID': 'x' }, 400, 'invalid_cursor'],
    ['a wait that is not a number', '/v1/sessions/s/events?wait=long', {}, 400, 'bad_request'],
    ['an unsupported media type', '/v1/sessions/s/events', { Accept: 'text/html' }, 406, 'not_acceptable'],
  ])('refuses %s', async (_, path, headers, status, code) => {
    await open()
    const answer = await harness.fetch(path, { headers })
    expect([answer.status, (await answer.json()).code]).toEqual([status, code])
    expect(harness.http.requests).toBe(0)
  })
})
