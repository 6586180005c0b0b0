// Third-party clients behind nginx with its default buffering: `eventsource`, Chromium's EventSource and fetch, curl,
// `openai`. The model pauses in the middle of its answer: the last tokens must arrive although no data follow.
import { spawn } from 'node:child_process'
import { type EntryFrame, makeId } from '@parley/protocol'
import { EventSource } from 'eventsource'
import OpenAI from 'openai'
import type { ResponseStreamEvent } from 'openai/resources/responses/responses'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ProxyProcess } from '../../bench/cluster/proxy-process.ts'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { TcpProxy } from '../../bench/cluster/tcp-proxy.ts'
import { CURL, requireProgram } from '../../scripts/programs.mjs'
import { launch } from '../../web/test/browser.ts'
import { startNginx } from './nginx.ts'
import { demoCount } from './strict-client.ts'
import { TRANSPORTS } from './transports/all-transports.ts'
import { Receiver } from './transports/receiver.ts'
import { sendAsync } from './transports/stream-transports.ts'
import type { MessageRequest, TransportDriver } from './transports/transport-driver.ts'

/** The model outputs this many numbers and then hangs. */
const WORDS = 3
const SILENT = `/demo count=100 rate=200 ttft=0 hang=${WORDS}`
const STREAMS = ['text/event-stream', 'application/x-ndjson']

let server: ServerProcess
let nginx: ProxyProcess
let browser: Browser

beforeAll(async () => {
  server = await ServerProcess.start({ PARLEY_REQUEST_RATE: '10000' })
  nginx = await startNginx(server.port)
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

function newMessage(content: string): MessageRequest {
  return { session: makeId('s'), id: makeId('c'), content }
}

/** The model's text in a stream of entries, in any form. */
function textOf(stream: string): string {
  return [...stream.matchAll(/"kind":"text","text":"([^"]*)"/g)].map(([, text]) => text).join('')
}

/** Cancels a session's run directly at the server, without the proxy. */
async function cancel(session: string): Promise<void> {
  const answer = await fetch(`${origin()}/v1/sessions/${session}/cancel`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: '{}',
  })
  expect(answer.status).toBe(200)
}

describe('behind nginx', () => {
  const streaming = TRANSPORTS.filter(({ name }) => name !== 'request–response')

  async function expectNoBuffering(proxy: ProxyProcess, transport: TransportDriver): Promise<void> {
    const { message, reading } = await transport.begin(proxy.origin, newMessage(SILENT))
    const receiver = new Receiver()
    await receiver.read(reading, () => receiver.text === demoCount(WORDS))
    expect(receiver.hasEnd).toBe(false)
    await cancel(message.session)
    await receiver.finish(reading)
    expect([receiver.state, receiver.text, receiver.picture.faults]).toEqual(['cancelled', demoCount(WORDS), []])
  }

  it.each(streaming.map((transport) => [transport.name, transport] as const))(
    '%s delivers each token at once',
    (_, transport: TransportDriver) => expectNoBuffering(nginx, transport),
  )

  it('with compression, every transport still delivers each token at once', async () => {
    // A compressor buffers, unless our header X-Accel-Buffering disables it.
    const zips = await startNginx(server.port, 'gzip on; gzip_types *; gzip_proxied any; gzip_min_length 0;')
    try {
      for (const transport of streaming) await expectNoBuffering(zips, transport)
    } finally {
      await zips.dispose()
    }
  })
})

describe('with interrupted connections', () => {
  /** Cuts the connection of a reader twice during the answer. */
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

    after(receiver: Receiver): void {
      if (receiver.picture.run(receiver.run).next < (this.#at[this.#count] ?? Number.POSITIVE_INFINITY)) return
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
      const message = newMessage(LONG)
      const { run } = await sendAsync(origin(), message)
      const receiver = new Receiver()
      const cuts = new Cuts(proxy)
      const url = `http://127.0.0.1:${proxy.port}/v1/sessions/${message.session}/events?run=${run}`
      await read(url, (data) => {
        receiver.take({ kind: 'entry', entry: JSON.parse(data) as EntryFrame })
        cuts.after(receiver)
      })
      receiver.expectText(demoCount(COUNT))
      expect([cuts.count, receiver.picture.run(receiver.run).ends]).toEqual([2, 1])
    } finally {
      await proxy.close()
    }
  }

  const TYPES = ['message', 'run.started', 'run.output', 'run.ended']

  it('`eventsource` gets everything once, and stops at the end', () =>
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

  it("Chromium's EventSource gets everything once, and stops at the end", () =>
    withCuts((url, take) =>
      withPage(new URL(url).origin, async (page) => {
        await page.exposeFunction('take', take)
        await page.evaluate(
          ([address, types]) =>
            new Promise<unknown>((resolve) => {
              const send = (globalThis as unknown as { take(data: string): Promise<void> }).take
              const all: Promise<void>[] = []
              // The browser's EventSource, not the imported one.
              const source = new globalThis.EventSource(address)
              for (const type of types) {
                source.addEventListener(type, (event) => all.push(send((event as MessageEvent<string>).data)))
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
    // Any page of this origin.
    await page.goto(`${place}/healthz`)
    await use(page)
  } finally {
    await context.close()
  }
}

describe("Chromium's fetch", () => {
  it.each(STREAMS)('gets %s without buffering, behind nginx', async (accept) => {
    const { session, content } = newMessage(SILENT)
    await withPage(nginx.origin, async (page) => {
      let text = ''
      let complete: () => void = () => undefined
      const words = new Promise<void>((resolve) => {
        complete = resolve
      })
      await page.exposeFunction('take', (part: string) => {
        text += part
        if (textOf(text) === demoCount(WORDS)) complete()
      })
      const whole = page.evaluate(
        async ([address, type, body]) => {
          const send = (globalThis as unknown as { take(part: string): Promise<void> }).take
          const headers = { Accept: type, 'Content-Type': 'application/json' }
          const answer = await fetch(address, { method: 'POST', headers, body })
          const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader()
          for (let next = await reader?.read(); next?.done === false; next = await reader?.read()) {
            await send(next.value)
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
  let program: string
  beforeAll(() => {
    program = requireProgram(CURL)
  })

  /** The output of a curl process so far. */
  class CurlOutput {
    text = ''
    readonly exited: Promise<number | null>
    #changed: () => void = () => undefined

    constructor(args: readonly string[]) {
      const child = spawn(program, ['--silent', '--show-error', '--no-buffer', ...args])
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (part: string) => {
          this.text += part
          this.#changed()
        })
      }
      this.exited = new Promise((resolve) => child.once('close', resolve))
    }

    async until(isEnough: (text: string) => boolean): Promise<void> {
      while (!isEnough(this.text)) {
        await new Promise<void>((resolve) => {
          this.#changed = resolve
        })
      }
    }
  }

  function post({ session, content }: MessageRequest, ...args: readonly string[]): CurlOutput {
    const url = `${nginx.origin}/v1/sessions/${session}/messages`
    return new CurlOutput([
      url,
      '--header',
      'Content-Type: application/json',
      '--data',
      JSON.stringify({ content }),
      ...args,
    ])
  }

  it.each(STREAMS)('prints %s without buffering, behind nginx', async (accept) => {
    const message = newMessage(SILENT)
    const printed = post(message, '--header', `Accept: ${accept}`)
    await printed.until((text) => textOf(text) === demoCount(WORDS))
    expect(printed.text).not.toContain('run.ended')
    await cancel(message.session)
    expect(await printed.exited).toBe(0)
    expect(printed.text).toContain('"reason":"cancelled"')
  })

  it('prints the whole result, behind nginx', async () => {
    const printed = post(newMessage('/demo count=50 rate=100 ttft=0'))
    expect(await printed.exited).toBe(0)
    expect(JSON.parse(printed.text)).toMatchObject({ state: 'completed', text: demoCount(50) })
  })

  it('prints a long poll of a session, behind nginx', async () => {
    const message = newMessage('/demo count=5 ttft=0')
    await sendAsync(origin(), message)
    const printed = new CurlOutput([`${nginx.origin}/v1/sessions/${message.session}/events?wait=10`])
    expect(await printed.exited).toBe(0)
    expect(JSON.parse(printed.text).entries[0].event).toMatchObject({ type: 'message', id: message.id })
  })
})

describe('`openai`, behind nginx', () => {
  const client = () => new OpenAI({ apiKey: 'none', baseURL: `${nginx.origin}/v1`, maxRetries: 0 })

  it('streams a chat completion without buffering', async () => {
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

  it('resumes an interrupted background response, and cancels one', async () => {
    const { responses } = client()
    const stream = await responses.create({
      model: 'demo',
      background: true,
      stream: true,
      input: '/demo count=30 rate=100 ttft=0',
    })
    const events: ResponseStreamEvent[] = []
    for await (const event of stream) {
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
