// Clients that are not ours, behind a proxy that is not ours: nginx with the buffering that it has by itself, `eventsource`,
// Chromium's own EventSource and fetch, curl. What is given at once is shown by a model that falls silent in mid-sentence:
// its last words come although nothing follows them.
import { spawn } from 'node:child_process'
import { type EntryFrame, makeId } from '@parley/protocol'
import { EventSource } from 'eventsource'
import OpenAI from 'openai'
import type { ResponseStreamEvent } from 'openai/resources/responses/responses'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { TcpProxy } from '../../bench/cluster/tcp-proxy.ts'
import { CURL, findProgram } from '../../scripts/programs.mjs'
import { launch } from '../../web/test/browser.ts'
import { Nginx } from './nginx.ts'
import { demoCount } from './strict-client.ts'
import { DOORS } from './transports/all-transports.ts'
import { Holder } from './transports/holder.ts'
import { sendAsync } from './transports/stream-transports.ts'
import type { Ask, Door } from './transports/transport.ts'

/** Says so many numbers, and then nothing more. */
const WORDS = 3
const SILENT = `/demo count=100 rate=200 ttft=0 hang=${WORDS}`
const STREAMS = ['text/event-stream', 'application/x-ndjson']

let server: ServerProcess
let nginx: Nginx
let browser: Browser

beforeAll(async () => {
  server = await ServerProcess.start({ PARLEY_REQUEST_RATE: '10000' })
  nginx = await Nginx.start(server.port)
  browser = await launch()
})
afterAll(async () => {
  await browser.close()
  await nginx.dispose()
  await server.dispose()
})

function origin(): string {
  return `http://127.0.0.1:${server.port}`
}

function newAsk(content: string): Ask {
  return { session: makeId('s'), id: makeId('c'), content }
}

/** What a model says in a stream of entries, in whatever form that is. */
function spoken(stream: string): string {
  return [...stream.matchAll(/"kind":"text","text":"([^"]*)"/g)].map(([, text]) => text).join('')
}

/** Cancels what a session's model is at, past the proxy. */
async function cancel(session: string): Promise<void> {
  const answer = await fetch(`${origin()}/v1/sessions/${session}/cancel`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: '{}',
  })
  expect(answer.status).toBe(200)
}

describe('behind nginx', () => {
  const streaming = DOORS.filter(({ name }) => name !== 'request–response')

  async function expectWordsAtOnce(proxy: Nginx, door: Door): Promise<void> {
    const { ask, reading } = await door.begin(proxy.origin, newAsk(SILENT))
    const holder = new Holder()
    await holder.read(reading, () => holder.text === demoCount(WORDS))
    expect(holder.hasEnd).toBe(false)
    await cancel(ask.session)
    await holder.finish(reading)
    expect([holder.state, holder.text, holder.picture.faults]).toEqual(['cancelled', demoCount(WORDS), []])
  }

  it.each(streaming.map((door) => [door.name, door] as const))('%s gives each word at once', (_, door: Door) =>
    expectWordsAtOnce(nginx, door),
  )

  it('that compresses all that it can, they do so, too', async () => {
    // A compressor waits for more, unless it is told by our header that nothing is to be held back.
    const zips = await Nginx.start(server.port, 'gzip on; gzip_types *; gzip_proxied any; gzip_min_length 0;')
    try {
      for (const door of streaming) await expectWordsAtOnce(zips, door)
    } finally {
      await zips.dispose()
    }
  })
})

describe('through connections that are cut', () => {
  /** Cuts a reader's connection, twice, in mid-sentence. */
  class Cuts {
    readonly #proxy: TcpProxy
    readonly #at = [20, 60]
    #count = 0

    constructor(proxy: TcpProxy) {
      this.#proxy = proxy
    }

    get count(): number {
      return this.#count
    }

    after(holder: Holder): void {
      if (holder.picture.run(holder.run).next < (this.#at[this.#count] ?? Number.POSITIVE_INFINITY)) return
      this.#count += 1
      this.#proxy.change({ kind: 'cut' })
      this.#proxy.heal()
    }
  }

  const COUNT = 120
  const LONG = `/demo count=${COUNT} rate=40 ttft=0`

  async function withCuts(read: (url: string, take: (data: string) => void) => Promise<void>): Promise<void> {
    const proxy = await TcpProxy.open(nginx.port)
    try {
      const ask = newAsk(LONG)
      const { run } = await sendAsync(origin(), ask)
      const holder = new Holder()
      const cuts = new Cuts(proxy)
      const url = `http://127.0.0.1:${proxy.port}/v1/sessions/${ask.session}/events?run=${run}`
      await read(url, (data) => {
        holder.take({ kind: 'entry', entry: JSON.parse(data) as EntryFrame })
        cuts.after(holder)
      })
      holder.expectText(demoCount(COUNT))
      expect([cuts.count, holder.picture.run(holder.run).ends]).toEqual([2, 1])
    } finally {
      await proxy.close()
    }
  }

  const TYPES = ['message', 'run.started', 'run.output', 'run.ended']

  it('`eventsource` misses nothing, gets nothing twice, and stops at the end', () =>
    withCuts(
      (url, take) =>
        new Promise<void>((resolve) => {
          const source = new EventSource(url)
          for (const type of TYPES) source.addEventListener(type, (event) => take(String(event.data)))
          source.addEventListener('error', () => {
            if (source.readyState === EventSource.CLOSED) resolve()
          })
        }),
    ))

  it("Chromium's EventSource misses nothing, gets nothing twice, and stops at the end", () =>
    withCuts((url, take) =>
      withPage(new URL(url).origin, async (page) => {
        await page.exposeFunction('take', take)
        await page.evaluate(
          ([address, types]) =>
            new Promise<unknown>((resolve) => {
              const told = (globalThis as unknown as { take(data: string): Promise<void> }).take
              const all: Promise<void>[] = []
              // The browser's, not the one that this file imports.
              const source = new globalThis.EventSource(address)
              for (const type of types) {
                source.addEventListener(type, (event) => all.push(told((event as MessageEvent<string>).data)))
              }
              source.addEventListener('error', () => {
                if (source.readyState === source.CLOSED) resolve(Promise.all(all))
              })
            }),
          [url, TYPES] as const,
        )
      }),
    ))
})

async function withPage(place: string, use: (page: Page) => Promise<void>): Promise<void> {
  const context = await browser.newContext()
  try {
    const page = await context.newPage()
    // Some page of this origin.
    await page.goto(`${place}/healthz`)
    await use(page)
  } finally {
    await context.close()
  }
}

describe("Chromium's fetch", () => {
  it.each(STREAMS)('reads %s as it comes, behind nginx', async (accept) => {
    const { session, content } = newAsk(SILENT)
    await withPage(nginx.origin, async (page) => {
      let text = ''
      let heard: () => void = () => undefined
      const words = new Promise<void>((resolve) => {
        heard = resolve
      })
      await page.exposeFunction('take', (part: string) => {
        text += part
        if (spoken(text) === demoCount(WORDS)) heard()
      })
      const whole = page.evaluate(
        async ([address, type, body]) => {
          const told = (globalThis as unknown as { take(part: string): Promise<void> }).take
          const headers = { Accept: type, 'Content-Type': 'application/json' }
          const answer = await fetch(address, { method: 'POST', headers, body })
          const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader()
          for (let next = await reader?.read(); next?.done === false; next = await reader?.read()) {
            await told(next.value)
          }
        },
        [`/v1/sessions/${session}/messages`, accept, JSON.stringify({ content })] as const,
      )
      await words
      expect(text).not.toContain('run.ended')
      await cancel(session)
      await whole
      expect(text).toContain('"reason":"cancelled"')
    })
  })
})

describe('curl', () => {
  const program = findProgram(CURL) ?? 'curl'

  /** What it prints, as it prints it. */
  class Printed {
    text = ''
    readonly exited: Promise<number | null>
    #told: () => void = () => undefined

    constructor(words: readonly string[]) {
      const child = spawn(program, ['--silent', '--show-error', '--no-buffer', ...words])
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (part: string) => {
          this.text += part
          this.#told()
        })
      }
      this.exited = new Promise((resolve) => child.once('close', resolve))
    }

    async until(isEnough: (text: string) => boolean): Promise<void> {
      while (!isEnough(this.text)) {
        await new Promise<void>((resolve) => {
          this.#told = resolve
        })
      }
    }
  }

  function post({ session, content }: Ask, ...words: readonly string[]): Printed {
    const url = `${nginx.origin}/v1/sessions/${session}/messages`
    return new Printed([
      url,
      '--header',
      'Content-Type: application/json',
      '--data',
      JSON.stringify({ content }),
      ...words,
    ])
  }

  it.each(STREAMS)('prints %s as it comes, behind nginx', async (accept) => {
    const ask = newAsk(SILENT)
    const printed = post(ask, '--header', `Accept: ${accept}`)
    await printed.until((text) => spoken(text) === demoCount(WORDS))
    expect(printed.text).not.toContain('run.ended')
    await cancel(ask.session)
    expect(await printed.exited).toBe(0)
    expect(printed.text).toContain('"reason":"cancelled"')
  })

  it('prints the whole result, behind nginx', async () => {
    const printed = post(newAsk('/demo count=50 rate=100 ttft=0'))
    expect(await printed.exited).toBe(0)
    expect(JSON.parse(printed.text)).toMatchObject({ state: 'completed', text: demoCount(50) })
  })

  it('prints a page of a session that it waits for, behind nginx', async () => {
    const ask = newAsk('/demo count=5 ttft=0')
    await sendAsync(origin(), ask)
    const printed = new Printed([`${nginx.origin}/v1/sessions/${ask.session}/events?wait=10`])
    expect(await printed.exited).toBe(0)
    expect(JSON.parse(printed.text).entries[0].event).toMatchObject({ type: 'message', id: ask.id })
  })
})

describe('`openai`, behind nginx', () => {
  const client = () => new OpenAI({ apiKey: 'none', baseURL: `${nginx.origin}/v1`, maxRetries: 0 })

  it('has a chat completion’s words as they come', async () => {
    const stream = await client().chat.completions.create({
      model: 'demo',
      stream: true,
      messages: [{ role: 'user', content: SILENT }],
    })
    let text = ''
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      if (text === demoCount(WORDS)) break
    }
    expect(text).toBe(demoCount(WORDS))
  })

  it('goes on with a response in the background where it was cut, and cancels one', async () => {
    const { responses } = client()
    const begun = await responses.create({
      model: 'demo',
      background: true,
      stream: true,
      input: '/demo count=30 rate=100 ttft=0',
    })
    const events: ResponseStreamEvent[] = []
    for await (const event of begun) {
      events.push(event)
      if (event.sequence_number === 9) break
    }
    const first = events[0]
    const id = first?.type === 'response.created' ? first.response.id : ''
    for await (const event of await responses.retrieve(id, { stream: true, starting_after: 9 })) events.push(event)
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, at) => at))
    const deltas = events.flatMap((event) => (event.type === 'response.output_text.delta' ? [event.delta] : []))
    expect(deltas.join('')).toBe(demoCount(30))
    expect((await responses.retrieve(id)).output_text).toBe(demoCount(30))
    const silent = await responses.create({ model: 'demo', background: true, input: SILENT })
    expect((await responses.cancel(silent.id)).status).toBe('cancelled')
  })
})
