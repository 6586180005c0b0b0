// A run whose driver is lost continues with the response that the relay kept: over a real relay, provider and log.
import type { Event } from '@parley/protocol'
import pino from 'pino'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Dialect } from '../../model/continuation.ts'
import { createModelCatalog } from '../../model/model-catalog.ts'
import { Relay } from '../../model/relay-fetch.ts'
import { provide } from '../../model/test/model-at.ts'
import {
  beginSse,
  chatChunk,
  type ProviderRequest,
  type ProviderServer,
  sendSse,
} from '../../model/test/provider-server.ts'
import { RelayServer } from '../../relay/relay-server.ts'
import { relayTargets } from '../../relay/relay-target.ts'
import { defineTool } from '../../tool/define-tool.ts'
import { CALLER, EngineHarness, type HarnessOptions } from '../test/engine-harness.ts'

const SECRET = 'a-secret-of-at-least-32-bytes-for-the-relay'
const logger = pino({ level: 'silent' })
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

let provider: ProviderServer
let relayServer: RelayServer
let relayUrl: string
const bypassed: string[] = []
let answer: (request: ProviderRequest) => void

beforeEach(async () => {
  bypassed.length = 0
  answer = ({ response }) => beginSse(response)
  provider = await provide((request) => answer(request))
})

async function start(options: Omit<HarnessOptions, 'model'> = {}, dialect?: Dialect): Promise<EngineHarness> {
  const limits = {
    streams: 100,
    streamBytes: 1024 * 1024,
    bytes: 16 * 1024 * 1024,
    requestBytes: 1024 * 1024,
    orphanMs: 60_000,
    streamMs: 60_000,
  }
  relayServer = new RelayServer({ secrets: [SECRET], targets: relayTargets([provider.url]), limits, logger })
  const port = await relayServer.listen({ host: '127.0.0.1', port: 0 })
  cleanups.push(() => relayServer.close())
  relayUrl = `http://127.0.0.1:${port}`
  const urls = [relayUrl]
  const relay = new Relay({ urls, secret: SECRET, logger, onBypass: (reason) => bypassed.push(reason) })
  cleanups.push(() => relay.close())
  const dialects = dialect && { dialects: new Map([['compatible:*', dialect]]) }
  const config = { model: 'compatible:m', compatible: { url: provider.url }, ...dialects }
  const model = createModelCatalog(config, { fetch: relay.fetch(fetch), relayed: true }).get()
  const harness = await EngineHarness.start({ ...options, model, relay })
  cleanups.push(() => harness.dispose())
  return harness
}

const say = (request: ProviderRequest, content: string): void => sendSse(request.response, [chatChunk({ content })])

function finish({ response }: ProviderRequest, reason = 'stop'): void {
  sendSse(response, [chatChunk({}, reason, { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 }), '[DONE]'])
  response.end()
}

/** A piece of a call's arguments. */
function argue(request: ProviderRequest, index: number, text: string, id?: string): void {
  const call = { index, function: { ...(id && { name: 'add' }), arguments: text }, ...(id && { id, type: 'function' }) }
  sendSse(request.response, [chatChunk({ tool_calls: [call] })])
}

const output = (h: EngineHarness, text: string): Promise<Event> =>
  h.event('s', 'run.output', (event) => event.text === text)

async function restart(h: EngineHarness): Promise<void> {
  await h.close()
  await h.open()
}

function texts(events: readonly Event[]): string[] {
  const ended = events.find((event) => event.type === 'run.ended')
  return (ended?.output ?? []).map((part) => ('text' in part ? part.text : part.type))
}

it('continues an answer in the middle, with one request to the provider', async () => {
  const h = await start()
  await h.send('s', 'go')
  const request = await provider.next()
  sendSse(request.response, [chatChunk({ reasoning_content: 'thin' })])
  await output(h, 'thin')
  await restart(h)
  expect(await h.event('s', 'run.started', ({ epoch }) => epoch === 2)).toMatchObject({ mode: 'continue', next: 1 })
  sendSse(request.response, [chatChunk({ reasoning_content: 'king' })])
  say(request, 'one two ')
  await output(h, 'one two ')
  // The answer continues while nobody reads it.
  await h.close()
  say(request, 'three')
  finish(request)
  await h.open()
  const ended = await h.event('s', 'run.ended')
  expect(ended).toMatchObject({ epoch: 3, reason: 'completed', usage: { inputTokens: 5, outputTokens: 3 } })
  expect(texts(await h.entries('s'))).toEqual(['thinking', 'one two three'])
  expect(provider.requests).toHaveLength(1)
  expect(bypassed).toEqual([])
  await vi.waitFor(() => expect(relayServer.held.streams).toBe(0), 20_000)
})

it('continues within streamed arguments, and makes each call once', async () => {
  const ran: unknown[] = []
  const add = defineTool({
    name: 'add',
    inputSchema: { type: 'object' },
    execute: (input) => {
      ran.push(input)
      return ran.length
    },
  })
  const h = await start({ serverTools: [add] })
  await h.send('s', 'go')
  const first = await provider.next()
  say(first, 'I add. ')
  argue(first, 0, '{"a":', 'p0')
  await output(h, '{"a":')
  await restart(h)
  await h.event('s', 'run.started', ({ epoch }) => epoch === 2)
  argue(first, 0, '1}')
  argue(first, 1, '{"b":', 'p1')
  await output(h, '{"b":')
  await restart(h)
  await h.event('s', 'run.started', ({ epoch }) => epoch === 3)
  argue(first, 1, '2}')
  finish(first, 'tool_calls')
  const second = await provider.next()
  const results = (second.body.messages ?? []).slice(2) as { role: string; tool_call_id: string; content: string }[]
  expect(results.map(({ role }) => role)).toEqual(['tool', 'tool'])
  say(second, 'The sum ')
  await output(h, 'The sum ')
  await restart(h)
  say(second, 'is 3.')
  finish(second)
  await h.event('s', 'run.ended')
  const inputs = ['{"a":1}', '{"b":2}']
  expect(texts(await h.entries('s'))).toEqual(['I add. ', ...inputs, 'tool', 'tool', 'The sum is 3.'])
  expect(ran).toEqual([{ a: 1 }, { b: 2 }])
  expect(provider.requests).toHaveLength(2)
})

it('makes the calls that the first driver did not store', async () => {
  const add = defineTool({ name: 'add', inputSchema: { type: 'object' }, execute: () => 'done' })
  const h = await start({ serverTools: [add] })
  await h.send('s', 'go')
  const first = await provider.next()
  argue(first, 0, '{"a":1}', 'p0')
  argue(first, 1, '{"b":2}', 'p1')
  await output(h, '{"b":2}')
  await h.close()
  // The next driver stores the first call, and then nothing more.
  await h.open((stores) => {
    const writer = stores.log.writer.bind(stores.log)
    stores.log.writer = (session, subject) => {
      const own = writer(session, subject)
      return {
        submit: (event, ...rest) =>
          event.type === 'tool.called' && isSecond(event.input) ? undefined : own.submit(event, ...rest),
      }
    }
  })
  finish(first, 'tool_calls')
  await h.event('s', 'tool.result')
  await restart(h)
  const second = await provider.next()
  finish(second)
  await h.event('s', 'run.ended')
  const calls = (await h.entries('s')).filter(({ type }) => type === 'tool.called' || type === 'tool.result')
  expect(calls.map(({ type }) => type)).toEqual(['tool.called', 'tool.result', 'tool.called', 'tool.result'])
  expect(provider.requests).toHaveLength(2)
})

function isSecond(input: unknown): boolean {
  return typeof input === 'object' && input !== null && 'b' in input
}

it('continues from the log when the relay is lost within an answer', async () => {
  const h = await start()
  await h.send('s', 'go')
  const first = await provider.next()
  say(first, 'unfinished')
  await output(h, 'unfinished')
  const again = provider.next()
  await relayServer.close()
  const second = await again
  expect(await h.event('s', 'run.started', ({ epoch }) => epoch === 2)).toMatchObject({ mode: 'restart' })
  say(second, 'whole')
  finish(second)
  await h.event('s', 'run.ended')
  expect(texts(await h.entries('s'))).toEqual(['whole'])
  expect(bypassed).toEqual(['unreachable'])
})

it('takes nothing back when the relay is lost, if the model can be asked for the rest', async () => {
  const h = await start({}, 'ask')
  await h.send('s', 'go')
  const first = await provider.next()
  sendSse(first.response, [chatChunk({ reasoning_content: 'hm' })])
  say(first, 'One sentence. And the beg')
  await output(h, 'One sentence. And the beg')
  const again = provider.next()
  await relayServer.close()
  const second = await again
  expect(second.body.messages?.map((message) => (message as { role?: string }).role)).toEqual([
    'user',
    'assistant',
    'user',
  ])
  expect(await h.event('s', 'run.started', ({ epoch }) => epoch === 2)).toMatchObject({ mode: 'continue', next: 2 })
  say(second, 'And the beginning of another.')
  finish(second)
  await h.event('s', 'run.ended')
  expect(texts(await h.entries('s'))).toEqual(['hm', 'One sentence. And the beginning of another.'])
})

it('continues an answer that was asked for, after a further loss', async () => {
  const h = await start({}, 'ask')
  await h.send('s', 'go')
  const first = await provider.next()
  say(first, 'One sentence. And the beg')
  await output(h, 'One sentence. And the beg')
  // As if the relay had been restarted: it no longer knows the response.
  const { request } = await h.event('s', 'run.started')
  const { port } = new URL(relayUrl)
  await h.close()
  const headers = { authorization: `Bearer ${SECRET}`, 'parley-attempt': '1' }
  await fetch(`http://127.0.0.1:${port}/v1/streams/${request?.stream}`, { method: 'DELETE', headers })
  const again = provider.next()
  await h.open()
  const second = await again
  say(second, 'And the beginning ')
  await output(h, 'inning ')
  await restart(h)
  say(second, 'of another.')
  finish(second)
  await h.event('s', 'run.ended')
  expect(texts(await h.entries('s'))).toEqual(['One sentence. And the beginning of another.'])
  expect(provider.requests).toHaveLength(2)
})

it('ends the request to the provider when the run is cancelled', async () => {
  const h = await start()
  await h.send('s', 'go')
  const request = await provider.next()
  say(request, 'one')
  await output(h, 'one')
  await h.service.cancel({ type: 'cancel', id: 'c1', session: 's' }, CALLER)
  await request.closed
  await vi.waitFor(() => expect(relayServer.held.streams).toBe(0), 20_000)
})

it('ends the request to the provider when the run is cancelled after its driver was lost', async () => {
  const h = await start()
  await h.send('s', 'go')
  const request = await provider.next()
  say(request, 'one')
  await output(h, 'one')
  await h.close()
  expect(relayServer.held.streams).toBe(1)
  await h.open(undefined, () => h.service.cancel({ type: 'cancel', id: 'c1', session: 's' }, CALLER))
  await request.closed
  await vi.waitFor(() => expect(relayServer.held.streams).toBe(0))
  await h.event('s', 'run.ended', ({ compacted }) => compacted === true)
  expect(texts(await h.entries('s'))).toEqual(['one'])
  expect(provider.requests).toHaveLength(1)
})

it('names each try of a failed call', async () => {
  const h = await start()
  answer = ({ response }) => response.writeHead(503).end('busy')
  await h.send('s', 'go')
  await provider.next()
  answer = ({ response }) => beginSse(response)
  const request = await provider.next()
  say(request, 'one ')
  await output(h, 'one ')
  const { request: first } = await h.event('s', 'run.started')
  const { stream } = await h.event('s', 'run.requested')
  expect(stream).not.toBe(first?.stream)
  await restart(h)
  say(request, 'two')
  finish(request)
  await h.event('s', 'run.ended')
  expect(texts(await h.entries('s'))).toEqual(['one two'])
  expect(provider.requests).toHaveLength(2)
})

it('continues a long answer that was compacted meanwhile', async () => {
  const h = await start()
  await h.send('s', 'go')
  const request = await provider.next()
  const words = Array.from({ length: 600 }, (_, index) => `${index} `)
  const session = await h.watch('s')
  for (const [index, word] of words.entries()) {
    say(request, word)
    await session.until(({ open }) => (open[0]?.next ?? 0) > index || undefined, AbortSignal.timeout(20_000))
  }
  await restart(h)
  say(request, 'end')
  finish(request)
  await h.event('s', 'run.ended')
  expect(texts(await h.entries('s'))).toEqual([`${words.join('')}end`])
  expect(provider.requests).toHaveLength(1)
})
