// Slow readers of streams: their backlog stays in the log, not in memory, and they lose nothing. A reader that stalls
// for too long is disconnected, and not earlier.
import { get, type IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, it } from 'vitest'
import { type HarnessOptions, TransportHarness } from '../test/transport-harness.ts'

const OUTBOX = 64 * 1024
/** Size limit of a batch read from the log, which is written as a whole. */
const BATCH = 600 * 1024
/** More than the kernel buffers for a socket that is not read. */
const OUTPUTS = 800
const TEXT = 'x'.repeat(32_000)

let harness: TransportHarness
const readers: SlowReader[] = []

async function open(options: HarnessOptions = {}): Promise<void> {
  harness = await TransportHarness.open({ ...options, http: { outboxBytes: OUTBOX, ...options.http } })
}

afterEach(async () => {
  for (const reader of readers.splice(0)) reader.destroy()
  await harness.close()
})

/** Reads NDJSON, and can pause. */
class SlowReader {
  readonly #answer: IncomingMessage
  readonly closed: Promise<void>
  readonly indexes: number[] = []
  ended = false
  #rest = ''

  private constructor(answer: IncomingMessage) {
    this.#answer = answer
    answer.setEncoding('utf8')
    answer.on('data', (text: string) => this.#take(text))
    // Node reports a cut as an error; the tests only look at the close.
    answer.on('error', () => undefined)
    this.closed = new Promise((resolve) => answer.on('close', resolve))
  }

  static async open(query = ''): Promise<SlowReader> {
    const url = `${harness.origin}/v1/sessions/s/events${query}`
    const reader = new SlowReader(
      await new Promise<IncomingMessage>((resolve, reject) => {
        get(url, { headers: { Accept: 'application/x-ndjson' }, agent: false }, resolve).on('error', reject)
      }),
    )
    readers.push(reader)
    return reader
  }

  pause(): void {
    this.#answer.pause()
  }

  resume(): void {
    this.#answer.resume()
  }

  destroy(): void {
    this.#answer.destroy()
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line === '') continue
      const { event } = JSON.parse(line)
      if (event?.type === 'run.output') {
        for (let at = 0; at < (event.count ?? 1); at += 1) this.indexes.push(event.index + at)
      }
      this.ended ||= event?.type === 'run.ended'
    }
  }
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index)

async function end(): Promise<void> {
  const usage = { inputTokens: 1, outputTokens: 1 }
  await harness.append('s', 'run.r', { type: 'run.ended', run: 'r', reason: 'completed', usage, next: OUTPUTS })
}

it('buffers little for a paused reader, and sends everything when it resumes', async () => {
  await open()
  await harness.startRun('s', 'r')
  const slow = await SlowReader.open()
  const quick = await SlowReader.open('?run=r')
  slow.pause()
  let most = 0
  for (const from of upTo(OUTPUTS / 10)) {
    await harness.say('s', 'r', from * 10, from * 10 + 10, () => TEXT)
    most = Math.max(most, harness.http.unsentBytes)
  }
  await end()
  expect(most).toBeGreaterThan(OUTBOX)
  expect(most).toBeLessThan(OUTBOX + BATCH)
  await quick.closed
  expect(quick.indexes).toEqual(upTo(OUTPUTS))
  expect(slow.indexes.length).toBeLessThan(OUTPUTS)
  slow.resume()
  await expect.poll(() => slow.ended, { timeout: 20_000 }).toBe(true)
  expect(slow.indexes).toEqual(upTo(OUTPUTS))
  expect(harness.http.unsentBytes).toBe(0)
}, 40_000)

it('sends everything to a reader that pauses repeatedly', async () => {
  await open()
  await harness.startRun('s', 'r')
  const slow = await SlowReader.open('?run=r')
  const saying = harness.say('s', 'r', 0, OUTPUTS, () => TEXT).then(end)
  let most = 0
  const stopping = setInterval(() => {
    slow.pause()
    most = Math.max(most, harness.http.unsentBytes)
    setTimeout(() => slow.resume(), 60)
  }, 80)
  await saying
  await slow.closed
  clearInterval(stopping)
  expect(slow.indexes).toEqual(upTo(OUTPUTS))
  expect(slow.ended).toBe(true)
  expect(most).toBeLessThan(OUTBOX + BATCH)
}, 40_000)

it('disconnects a reader that stalls for too long', async () => {
  await open({ http: { stallMs: 200 } })
  await harness.startRun('s', 'r')
  const slow = await SlowReader.open()
  slow.pause()
  await harness.say('s', 'r', 0, OUTPUTS / 2, () => TEXT)
  await expect.poll(() => harness.http.requests, { timeout: 20_000 }).toBe(0)
  expect(harness.http.streams).toBe(0)
}, 30_000)

it('does not disconnect a stalled reader early, although uWS would after ten seconds', async () => {
  await open({ http: { heartbeatMs: 60_000 } })
  await harness.startRun('s', 'r')
  const [slow, fair] = [await SlowReader.open(), await SlowReader.open()]
  slow.pause()
  fair.pause()
  await harness.say('s', 'r', 0, OUTPUTS / 2, () => TEXT)
  await sleep(14_000)
  expect(harness.http.requests).toBe(2)
  slow.resume()
  await expect.poll(() => slow.indexes.length, { timeout: 20_000 }).toBe(OUTPUTS / 2)
  expect(slow.indexes).toEqual(upTo(OUTPUTS / 2))
}, 40_000)

it('disconnects a reader that is behind for too long, although it reads a little', async () => {
  await open({ limits: { behindMs: 100 } })
  await harness.startRun('s', 'r')
  const slow = await SlowReader.open()
  slow.pause()
  await harness.say('s', 'r', 0, OUTPUTS / 2, () => TEXT)
  await expect.poll(() => harness.http.requests, { timeout: 12_000 }).toBe(0)
}, 30_000)
