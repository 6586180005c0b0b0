// Numbers that JavaScript rounds keep their digits in a session: from the model to the device that runs the tool, in its result, in the
// log, and over every transport.
import { once } from 'node:events'
import { codecs, ExactNumber } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { OpenAiHarness } from '../openai/test/openai-harness.ts'

const BIG = '12345678901234567890'
const INPUT = `{"id":${BIG},"at":1764622884000}`
const OUTPUT = `{"paid":-9007199254740993,"rate":0.12345678901234567890,"at":1764622884000}`

/** `BIG` as an unsigned integer of 64 bits. */
const PACKED = Buffer.from('cfab54a98ceb1f0ad2', 'hex')
const pack = (value: unknown) => Buffer.from(codecs.msgpack.encode(value) as Uint8Array)
const unpack = (data: Buffer) => codecs.msgpack.decode(data, { exact: true })

let h: OpenAiHarness
beforeAll(async () => {
  h = await OpenAiHarness.open()
})
afterAll(() => h.close())

/** A client that reads and writes frames as they are on the wire. */
class RawClient {
  readonly #socket: WebSocket
  readonly #received: Buffer[] = []
  #wake: () => void = () => undefined

  constructor(codec: 'json' | 'msgpack') {
    this.#socket = new WebSocket(`${h.server.url.replace('http', 'ws')}/v1/ws`, [`parley.v1.${codec}`])
    this.#socket.on('message', (data: Buffer) => {
      this.#received.push(data)
      this.#wake()
    })
  }

  async send(...frames: (string | Buffer)[]): Promise<void> {
    if (this.#socket.readyState !== WebSocket.OPEN) await once(this.#socket, 'open')
    for (const frame of frames) this.#socket.send(frame)
  }

  /** The first message that matches. */
  async until<T>(find: (data: Buffer) => T | undefined): Promise<T> {
    for (;;) {
      for (const data of this.#received) {
        const found = find(data)
        if (found !== undefined) return found
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  text(pattern: RegExp): Promise<RegExpExecArray> {
    return this.until((data) => pattern.exec(data.toString()) ?? undefined)
  }

  close(): void {
    this.#socket.close()
  }
}

/** The event of this type in a message of one frame or several. */
function eventOf(message: unknown, type: string): Record<string, unknown> | undefined {
  const frames = [message].flat() as readonly { readonly event?: Record<string, unknown> }[]
  return frames.map(({ event }) => event).find((event) => event?.type === type)
}

describe('numbers beyond 2^53', () => {
  it('pass through a session unchanged, over every transport', async () => {
    const device = new RawClient('json')
    const attach = { type: 'attach', id: 'a', session: 'big', tools: [{ name: 'pay' }] }
    const send = { type: 'send', id: 'm', session: 'big', content: `/demo tool=pay input=${INPUT} count=1` }
    await device.send('{"type":"hello"}', JSON.stringify(attach), JSON.stringify(send))
    const [, call, input] = await device.text(/"tool\.called".*?"call":"(\w+)".*?"input":(\{.*?\})/)
    expect(input).toBe(INPUT)
    await device.send(
      `{"type":"tool.claim","id":"c","session":"big","call":"${call}"}`,
      `{"type":"tool.result","id":"r","session":"big","call":"${call}","output":${OUTPUT}}`,
    )
    expect((await device.text(/"tool\.result".*?"output":(\{.*?\})/))[1]).toBe(OUTPUT)
    const [, run] = await device.text(/"run\.ended","run":"(\w+)"/)
    device.close()
    const read = async (path: string, accept: string): Promise<string> =>
      (await fetch(`${h.server.url}/v1/sessions/big${path}`, { headers: { Accept: accept } })).text()
    for (const text of [
      await read('', 'application/json'),
      await read('/events', 'application/json'),
      await read(`/events?run=${run}`, 'application/x-ndjson'),
      await read(`/events?run=${run}`, 'text/event-stream'),
    ]) {
      expect(text).toContain(INPUT)
      expect(text).toContain(OUTPUT)
      // The demo model repeats the result that it got.
      expect(text).toContain(OUTPUT.replaceAll('"', '\\"'))
    }
  })

  it('are integers of 64 bits in MessagePack, both ways', async () => {
    const device = new RawClient('msgpack')
    await device.send(
      pack({ type: 'hello' }),
      pack({ type: 'attach', id: 'a', session: 'packed', tools: [{ name: 'pay' }] }),
      pack({ type: 'send', id: 'm', session: 'packed', content: `/demo tool=pay input=${INPUT}` }),
    )
    const called = await device.until((data) =>
      data.includes(PACKED) ? eventOf(unpack(data), 'tool.called') : undefined,
    )
    expect(called.input).toEqual({ id: new ExactNumber(BIG), at: 1764622884000 })
    const { call } = called
    await device.send(
      pack({ type: 'tool.claim', id: 'c', session: 'packed', call }),
      pack({ type: 'tool.result', id: 'r', session: 'packed', call, output: { paid: new ExactNumber(BIG) } }),
    )
    const result = await device.until((data) => eventOf(unpack(data), 'tool.result'))
    expect(result.output).toEqual({ paid: new ExactNumber(BIG) })
    const events = await fetch(`${h.server.url}/v1/sessions/packed/events`)
    expect(await events.text()).toContain(`"output":{"paid":${BIG}}`)
    device.close()
  })
})
