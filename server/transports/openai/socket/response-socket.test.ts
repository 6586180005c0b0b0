// The Responses API over WebSocket: several responses on one socket, cuts, cancelling, steering, and refusals.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import type { ResponseStreamEvent } from 'openai/resources/responses/responses'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { demoText } from '../../../model/demo-answer.ts'
import { PlayedModel } from '../../../run/test/engine-harness.ts'
import { OpenAiHarness } from '../test/openai-harness.ts'
import { ResponseSocketClient } from '../test/response-socket-client.ts'

const SECRET = 'a secret of the socket tests with 32 bytes or more'
const SHORT = '/demo count=3 rate=0'
const LONG = '/demo count=4000 rate=100 ttft=0'

let h: OpenAiHarness
const model = new PlayedModel()
let played: OpenAiHarness
let closed: OpenAiHarness
beforeAll(async () => {
  h = await OpenAiHarness.open()
  played = await OpenAiHarness.open({}, { models: { defaultId: 'played', ids: ['played'], get: () => model } })
  const limits = { PARLEY_JWT_CLOCK_SKEW: '0', PARLEY_COMMAND_RATE: '1', PARLEY_COMMAND_BURST: '2' }
  closed = await OpenAiHarness.open({ PARLEY_JWT_SECRET: SECRET, ...limits })
})
afterAll(async () => {
  await Promise.all([h.close(), played.close(), closed.close()])
})

async function connect(at = h, headers: Readonly<Record<string, string>> = {}): Promise<ResponseSocketClient> {
  const client = await ResponseSocketClient.open(at.server.url, headers)
  onTestFinished(() => client.socket.terminate())
  return client
}

function token(secondsLeft: number): Promise<string> {
  return new SignJWT({ sub: 'ada' })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime(Math.floor(Date.now() / 1000) + secondsLeft)
    .sign(new TextEncoder().encode(SECRET))
}

async function eventsOverHttp(id: string, after?: number): Promise<ResponseStreamEvent[]> {
  const events: ResponseStreamEvent[] = []
  const from = after === undefined ? {} : { starting_after: after }
  for await (const event of await h.client.responses.retrieve(id, { stream: true, ...from })) events.push(event)
  return events
}

describe('responses on one socket', () => {
  it('have the events of an HTTP stream, and continue from each other', async () => {
    const client = await connect()
    client.create('/demo count=30 rate=400 ttft=0 reasoning=3', { metadata: { who: 'me' } })
    const { response } = await client.nextEnd()
    expect(client.events).toEqual(await eventsOverHttp(response?.id ?? ''))
    client.create(SHORT, { previous_response_id: response?.id })
    const second = await client.nextEnd()
    expect(second.response).toMatchObject({ status: 'completed', previous_response_id: response?.id })
    expect(client.text()).toBe(`${client.text().slice(0, -demoText(SHORT).length)}${demoText(SHORT)}`)
  })

  it('are made one after the other, and side by side with different stream ids', async () => {
    const client = await connect()
    client.create(LONG, { stream_id: 'slow' })
    const slow = await client.nextId()
    client.create('/demo count=2 rate=0', { stream_id: 'fast' })
    client.create(SHORT, { stream_id: 'fast' })
    client.create('/demo count=1 rate=0', { stream_id: 'slow' })
    for (let ends = 0; ends < 2; ends += 1) {
      expect(await client.nextOf('response.completed')).toMatchObject({ stream_id: 'fast' })
    }
    expect(client.text('fast')).toBe(demoText('/demo count=2') + demoText(SHORT))
    client.send({ type: 'response.cancel', response_id: slow })
    expect(await client.nextEnd()).toMatchObject({
      type: 'response.incomplete',
      stream_id: 'slow',
      response: { id: slow, status: 'cancelled' },
    })
    expect(await client.nextEnd()).toMatchObject({ type: 'response.completed', stream_id: 'slow' })
  })

  it('need not be stored to continue from each other', async () => {
    const client = await connect()
    client.create(SHORT, { store: false })
    const first = (await client.nextEnd()).response?.id ?? ''
    await expect(h.client.responses.retrieve(first)).rejects.toThrow('Response not found')
    client.create(SHORT, { store: false, previous_response_id: first })
    const second = await client.nextEnd()
    expect(second.response).toMatchObject({ status: 'completed', store: false, previous_response_id: first })
    await h.deleted(first)
    client.create(SHORT, { previous_response_id: first })
    expect(await client.nextEnd()).toMatchObject({ status: 400, error: { code: 'previous_response_not_found' } })
    const third = await connect()
    third.create(SHORT, { previous_response_id: second.response?.id })
    expect(await third.nextEnd()).toMatchObject({ error: { param: 'previous_response_id' } })
    // A stored response that continues from it has a session of its own.
    client.create(SHORT, { previous_response_id: second.response?.id })
    const stored = (await client.nextEnd()).response?.id ?? ''
    client.socket.close()
    await h.deleted(second.response?.id ?? '')
    expect(await h.client.responses.retrieve(stored)).toMatchObject({ status: 'completed' })
  })
})

describe('a socket that is cut in the middle of an answer', () => {
  it('loses nothing of a stored response', async () => {
    const client = await connect()
    client.create('/demo count=60 rate=100 ttft=0')
    const id = await client.nextId()
    await client.nextOf('response.output_text.delta')
    client.socket.terminate()
    await client.closed
    const last = client.events.at(-1)?.sequence_number ?? 0
    const rest = await eventsOverHttp(id, last)
    expect([...client.events, ...rest]).toEqual(await eventsOverHttp(id))
    expect(await h.client.responses.retrieve(id)).toMatchObject({ output_text: demoText('/demo count=60') })
  })

  it('ends and deletes one that is not stored', async () => {
    const client = await connect()
    client.create(LONG, { store: false })
    const id = await client.nextId()
    client.socket.terminate()
    await h.deleted(id)
  })

  it('leaves others of the node alone, and takes what waited with it', async () => {
    const client = await connect()
    const other = await connect()
    other.create('/demo count=40 rate=100 ttft=0')
    client.create(LONG)
    client.create(SHORT)
    const id = await client.nextId()
    client.socket.terminate()
    expect(await other.nextEnd()).toMatchObject({ type: 'response.completed' })
    expect((await h.client.responses.cancel(id)).status).toBe('cancelled')
  })
})

describe('cancelling', () => {
  it('works over HTTP, too, and ends the stream', async () => {
    const client = await connect()
    client.create(LONG)
    const id = await client.nextId()
    expect((await h.client.responses.cancel(id)).status).toBe('cancelled')
    expect(await client.nextEnd()).toMatchObject({ type: 'response.incomplete', response: { id, status: 'cancelled' } })
    client.send({ type: 'response.cancel', response_id: id })
    expect(await client.nextEnd()).toMatchObject({ type: 'error', status: 404 })
  })
})

describe('steering', () => {
  const TOOL = { type: 'function', name: 'weather', parameters: { type: 'object', properties: {} }, strict: false }

  it.each([true, false])('replaces the answer, with the same settings (stored: %s)', async (store) => {
    const client = await connect(played)
    const settings = { model: 'played', store, instructions: 'Be brief.', tools: [TOOL], stream_id: 'a' }
    client.create('Name a city.', settings)
    const first = await model.next()
    first.text('Oslo is ')
    const id = await client.nextId()
    await client.nextOf('response.output_text.delta')
    client.create('And now?', { ...settings, previous_response_id: null })
    client.send({ type: 'response.steer', previous_response_id: id, input: 'In Italy, please.' })
    const accepted = await client.nextOf('response.steer.accepted')
    expect(accepted).toMatchObject({ stream_id: 'a', steer: { previous_response_id: id } })
    const steered = await client.nextEnd()
    expect(steered).toMatchObject({
      type: 'response.incomplete',
      stream_id: 'a',
      response: { id, status: 'incomplete', incomplete_details: { reason: 'steered' } },
    })
    await first.aborted
    const second = await model.next()
    expect(JSON.stringify(second.options.prompt)).toMatch(/Be brief.*Name a city.*Oslo is.*In Italy, please/)
    expect(second.options.tools).toMatchObject([{ name: 'weather' }])
    second.text('Rome')
    second.finish()
    const successor = await client.nextOf('response.created')
    expect(successor.response).toMatchObject({ previous_response_id: id, store })
    expect(await client.nextEnd()).toMatchObject({ type: 'response.completed', stream_id: 'a' })
    // What was asked before the steering comes after its successor.
    const third = await model.next()
    expect(JSON.stringify(third.options.prompt)).toContain('And now?')
    third.text('Fine')
    third.finish()
    await client.nextEnd()
    if (store) return
    client.socket.close()
    await played.deleted(id)
  })

  it('that cannot be done gives the input back', async () => {
    const client = await connect()
    const fails = async (frame: object): Promise<string | null | undefined> => {
      client.send({ type: 'response.steer', ...frame })
      const failed = await client.nextOf('response.steer.failed')
      expect(failed.steer).toMatchObject(frame)
      return failed.error?.code
    }
    expect(await fails({ previous_response_id: 'resp_x', input: 'hi' })).toBe('response_not_found')
    client.create(LONG, { conversation: 'steered' })
    const id = await client.nextId()
    expect(await fails({ previous_response_id: id, input: 'hi' })).toBe('steering_not_supported')
    client.send({ type: 'response.cancel', response_id: id })
    await client.nextEnd()
    client.create(LONG)
    const other = await client.nextId()
    const input = [{ role: 'system', content: 'Obey.' }]
    expect(await fails({ previous_response_id: other, input })).toBe('invalid_input')
    expect(await fails({ previous_response_id: other, input: [] })).toBe('invalid_input')
    client.send({ type: 'response.cancel', response_id: other })
    expect(await client.nextEnd()).toMatchObject({ response: { status: 'cancelled' } })
  })
})

describe('a request without an answer', () => {
  const SYSTEM = [{ role: 'system', content: 'Count.' }]

  it('asks no model, and the next request continues from it, also with an empty input', async () => {
    const client = await connect(played)
    const warm = { model: 'played', generate: false, store: false, instructions: 'Count.' }
    client.create([{ role: 'user', content: 'One?' }], warm)
    const id = await client.nextId()
    expect(await client.nextEnd()).toMatchObject({
      type: 'response.completed',
      response: { id, status: 'completed', output: [], store: false, usage: { input_tokens: 0, output_tokens: 0 } },
    })
    client.create([{ role: 'user', content: 'Two?' }], { ...warm, previous_response_id: id })
    const second = (await client.nextEnd()).response
    expect(second?.previous_response_id).toBe(id)
    client.create([], { model: 'played', previous_response_id: second?.id })
    const call = await model.next()
    const asked = call.options.prompt.flatMap(({ role, content }) => (role === 'user' ? content : []))
    expect(JSON.stringify(asked)).toMatch(/One\?.*Two\?/)
    call.text('12')
    call.finish()
    const { response } = await client.nextEnd()
    expect(response).toMatchObject({ status: 'completed', previous_response_id: null })
    await expect(played.client.responses.retrieve(id)).rejects.toMatchObject({ status: 404 })
    await expect(played.client.responses.retrieve(response?.id ?? '')).resolves.toMatchObject({ output_text: '12' })
  })

  it('continues from a response, and can be continued twice', async () => {
    const client = await connect()
    client.create(SHORT)
    const before = (await client.nextEnd()).response?.id
    client.create(SYSTEM, { generate: false, previous_response_id: before })
    const { response } = await client.nextEnd()
    for (const count of [2, 4]) {
      client.create(`/demo count=${count} rate=0`, { previous_response_id: response?.id })
      expect(await client.nextEnd()).toMatchObject({ response: { status: 'completed', previous_response_id: before } })
    }
    expect(client.text()).toBe(['0 1 2', '0 1', '0 1 2 3'].join(''))
  })

  it('is checked like any other, belongs to its socket, and may not grow without end', async () => {
    const client = await connect()
    const refused: [object, string][] = [
      [{ model: 'other' }, 'model'],
      [{ conversation: 'talk' }, 'conversation'],
      [{ previous_response_id: 'resp_1' }, 'previous_response_id'],
      [{ tool_choice: 'required' }, 'tool_choice'],
      [{ background: true }, 'background'],
    ]
    for (const [more, param] of refused) {
      client.create(SYSTEM, { generate: false, ...more })
      expect(await client.nextOf('error'), param).toMatchObject({ error: { param } })
    }
    client.create(SYSTEM, { generate: false })
    const id = await client.nextId()
    await client.nextEnd()
    const other = await connect()
    other.create(SHORT, { previous_response_id: id })
    expect(await other.nextOf('error')).toMatchObject({ error: { code: 'previous_response_not_found' } })
    let previous: string | undefined
    for (let at = 0; at < 3; at += 1) {
      client.create('x'.repeat(1_900_000), { generate: false, previous_response_id: previous })
      const end = await client.nextEnd()
      previous = end.response?.id
      expect([end.type, end.status]).toEqual(at < 2 ? ['response.completed', undefined] : ['error', 413])
    }
    // The newest ones stay.
    client.create(SHORT, { previous_response_id: id })
    expect(await client.nextOf('error')).toMatchObject({ error: { code: 'previous_response_not_found' } })
  })
})

describe('a refusal', () => {
  it('names the field, has the stream id, and harms no other response', async () => {
    const client = await connect()
    const refused: [object, string | null][] = [
      [{ type: 'response.create', model: 'demo', stream_id: 'x' }, 'input'],
      [{ type: 'response.create', model: 'demo', input: 'x', stream_id: 'x', background: true }, 'background'],
      [{ type: 'response.create', model: 'demo', input: [], stream_id: 'x' }, 'input'],
      [{ type: 'response.create', model: 'other', input: 'x', stream_id: 'x' }, 'model'],
      [{ type: 'session.update', stream_id: 'x' }, 'type'],
    ]
    client.create(LONG)
    const id = await client.nextId()
    for (const [frame, param] of refused) {
      client.send(frame)
      expect(await client.nextOf('error')).toMatchObject({ stream_id: 'x', error: { param } })
    }
    client.socket.send('{"type":')
    expect(await client.nextOf('error')).toMatchObject({ status: 400 })
    client.create('x'.repeat(4 * 1024 * 1024))
    expect(await client.nextOf('error')).toMatchObject({ status: 413 })
    client.send({ type: 'response.cancel', response_id: id })
    expect(await client.nextEnd()).toMatchObject({ response: { id, status: 'cancelled' } })
    client.socket.send(Buffer.from('{}'))
    expect(await client.closed).toBe(1003)
  })

  it('comes when too much waits', async () => {
    const client = await connect()
    for (let at = 0; at < 35; at += 1) client.create(LONG)
    expect(await client.nextOf('error')).toMatchObject({ status: 429, error: { code: 'rate_limit_exceeded' } })
    const many = await connect()
    for (let at = 0; at < 17; at += 1) many.create(LONG, { stream_id: `s${at}` })
    expect(await many.nextOf('error')).toMatchObject({ status: 429, stream_id: 's16' })
  })

  it('of a run is an error with its status', async () => {
    const client = await connect()
    client.create('/demo fail=0 count=3 rate=0')
    expect(await client.nextEnd()).toMatchObject({ type: 'error', status: 502, error: { code: 'provider_error' } })
  })

  it('of the upgrade has an HTTP status', async () => {
    await expect(connect(closed)).rejects.toThrow('401')
    const plain = await fetch(`${h.server.url}/v1/responses`)
    expect([plain.status, plain.headers.get('upgrade')]).toEqual([426, 'websocket'])
    expect(await plain.json()).toMatchObject({ error: { code: 'upgrade_required' } })
    await expect(connect(h, { Origin: 'https://evil.example' })).rejects.toThrow('403')
  })

  it('comes at the limit of the rate, and the end of the access token', async () => {
    const brief = await connect(closed, { Authorization: `Bearer ${await token(3)}` })
    // Another one: on a busy machine, the first may be closed before its commands are read.
    const client = await connect(closed, { Authorization: `Bearer ${await token(60)}` })
    for (let at = 0; at < 5; at += 1) client.create(SHORT)
    expect(await client.nextOf('error')).toMatchObject({ status: 429 })
    expect(await brief.closed).toBe(1008)
  })
})

describe('before the access token is verified', () => {
  /** A server whose public key is there from `answer` on. */
  async function waiting(): Promise<{ connect(): Promise<ResponseSocketClient>; answer(status: number): void }> {
    const { publicKey, privateKey } = await generateKeyPair('ES256')
    const keys = JSON.stringify({ keys: [await exportJWK(publicKey)] })
    let answer: (status: number) => void = () => undefined
    const status = new Promise<number>((resolve) => {
      answer = resolve
    })
    const issuer = createServer((_, response) => {
      void status.then((code) => response.writeHead(code, { 'Content-Type': 'application/json' }).end(keys))
    })
    await once(issuer.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => void issuer.close())
    const url = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}`
    const server = await OpenAiHarness.open({ PARLEY_JWKS_URL: url })
    onTestFinished(() => server.close())
    const signed = await new SignJWT({ sub: 'ada' })
      .setProtectedHeader({ alg: 'ES256' })
      .setExpirationTime('1h')
      .sign(privateKey)
    return { answer, connect: () => connect(server, { Authorization: `Bearer ${signed}` }) }
  }

  it('messages wait, and are then answered in their order', async () => {
    const { connect: open, answer } = await waiting()
    const client = await open()
    for (const count of [2, 4]) client.create(`/demo count=${count} rate=0`)
    client.socket.ping()
    await once(client.socket, 'pong')
    expect(client.events).toEqual([])
    answer(200)
    for (let at = 0; at < 2; at += 1) expect(await client.nextEnd()).toMatchObject({ type: 'response.completed' })
    expect(client.text()).toBe('0 10 1 2 3')
  })

  it('a client may send only a little', async () => {
    const { connect: open } = await waiting()
    const many = await open()
    for (let at = 0; at < 33; at += 1) many.create(SHORT)
    const large = await open()
    for (let at = 0; at < 2; at += 1) large.create('x'.repeat(3_000_000))
    for (const client of [many, large]) {
      expect(await client.nextOf('error')).toMatchObject({ status: 503, error: { code: 'unavailable' } })
      expect(await client.closed).toBe(1013)
    }
  })

  it.each([
    ['an invalid token', 'wrong', 401, 1008],
    ['no keys to verify it with', undefined, 503, 1013],
  ])('%s ends the socket with an error', async (_, wrong, status, code) => {
    const { connect: open, answer } = await waiting()
    const client = wrong === undefined ? await open() : await connect(closed, { Authorization: `Bearer ${wrong}` })
    client.create(SHORT)
    answer(500)
    expect(await client.nextOf('error')).toMatchObject({ status })
    expect(await client.closed).toBe(code)
    expect(client.events).toHaveLength(1)
  })
})

it('a server that shuts down ends the socket with a code that allows a reconnect', async () => {
  const own = await OpenAiHarness.open()
  const client = await connect(own)
  client.create(LONG)
  await client.nextId()
  await own.close()
  expect(await client.closed).toBe(1012)
})
