// Large messages on both stores: the log and its readers get an abridged message, and the model the whole.
import { type MessageEvent, makeId, parseJson, type Send, stringifyJson } from '@parley/protocol'
import type { Logger } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { NatsServer } from '../../bench/cluster/nats-server.ts'
import { JetStreamHarness } from '../store/test/jetstream-harness.ts'
import { LmdbHarness } from '../store/test/lmdb-harness.ts'
import { abridge, purgeLargeMessages, wholeMessage } from './large-messages.ts'
import { NO_CACHE, testService } from './test/test-service.ts'

const MEBI = 1024 * 1024
const ANN = { connection: 'c', user: 'ann', role: 'owner' }

let server: NatsServer
beforeAll(async () => {
  server = await NatsServer.start()
})
afterAll(() => server.dispose())

const message = (fields: Partial<MessageEvent> = {}): MessageEvent => ({
  type: 'message',
  id: makeId('m'),
  role: 'user',
  author: 'ann',
  content: [{ type: 'text', text: 'hi' }],
  policy: 'queue',
  run: 'r',
  ...fields,
})

/** A history of this many MiB. */
const history = (mebi: number) =>
  Array.from({ length: mebi }, (_, i) => ({ role: 'tool' as const, call: `c${i}`, output: 'x'.repeat(MEBI) }))

describe.each([
  ['LMDB', () => LmdbHarness.open()],
  ['JetStream', () => JetStreamHarness.open(server)],
] as const)('a large message on %s', (_, open) => {
  let harness: Awaited<ReturnType<typeof open>>
  beforeEach(async () => {
    harness = await open()
  })
  afterEach(() => harness.close())

  const stateOf = (event: MessageEvent) => ({ event, seq: 1, time: 1 })
  const wholeOf = async (session: string, event: MessageEvent) =>
    (await wholeMessage(harness, session, stateOf(event)))[0].event

  it('is small in the log, and whole again after a restart', async () => {
    const input = parseJson('{"id":12345678901234567890}')
    const calls = [{ role: 'assistant' as const, calls: [{ call: 'c', name: 'pay', input }] }]
    const large = message({ context: { instructions: 'Be brief.', history: [...calls, ...history(15)] } })
    const small = await abridge(harness, 's', large)
    expect(JSON.stringify(small).length).toBeLessThan(1000)
    expect(small).toMatchObject({ content: large.content, context: { instructions: 'Be brief.' } })
    await harness.reopen()
    const whole = await wholeOf('s', small)
    expect(whole.context?.history?.length).toBe(16)
    expect(whole.context?.history?.[0]).toEqual(calls[0])
    expect(stringifyJson(whole.context) === stringifyJson(large.context)).toBe(true)
  })

  it('shortens only a content beyond 1 MiB, and shows its files by their names', async () => {
    const file = { type: 'file' as const, mediaType: 'image/png', data: 'A'.repeat(2 * MEBI), name: 'a.png' }
    const content = [{ type: 'text' as const, text: 'é'.repeat(10_000) }, file]
    const small = await abridge(harness, 's', message({ content }))
    expect(small.content).toEqual([
      { type: 'text', text: `${'é'.repeat(4096)}…` },
      { type: 'text', text: '[file: a.png]' },
    ])
    expect((await wholeOf('s', small)).content).toEqual(content)
    const ordinary = message({ content: [{ type: 'text', text: 'x'.repeat(500_000) }] })
    expect(await abridge(harness, 's', ordinary)).toBe(ordinary)
  })

  it('has its own place, also if several come at once', async () => {
    const all = await Promise.all(
      Array.from({ length: 6 }, (_, i) =>
        abridge(harness, 's', message({ author: `${i}`, context: { instructions: `${i}`, history: history(1) } })),
      ),
    )
    expect(new Set(all.map(({ abridged }) => abridged?.segment)).size).toBe(6)
    for (const small of all) expect((await wholeOf('s', small)).context?.instructions).toBe(small.author)
  })

  it('is deleted with its session, and its readers then get what the log has, with a warning', async () => {
    const small = await abridge(harness, 's', message({ context: { history: history(1) } }))
    const other = await abridge(harness, 'other', message({ context: { history: history(1) } }))
    await purgeLargeMessages(harness, 's', false)
    const warned = vi.fn()
    const logger = { warn: warned } as unknown as Logger
    expect(await wholeMessage({ transcripts: harness.transcripts, logger }, 's', stateOf(small))).toEqual([
      stateOf(small),
      0,
    ])
    expect(warned).toHaveBeenCalledWith({ session: 's', message: small.id }, 'a large message is lost')
    await purgeLargeMessages(harness, 's', true)
    await purgeLargeMessages(harness, 'never', true)
    expect((await wholeOf('other', other)).context?.history).toHaveLength(1)
  })

  it('is accepted once: the same command again is a duplicate, and another content is refused', async () => {
    const { sessions, service } = testService(harness, { cache: NO_CACHE })
    const command: Send = { type: 'send', id: 'm1', session: 's', content: 'hi', context: { history: history(2) } }
    const first = await service.send(command, ANN)
    expect(await service.send(command, ANN)).toMatchObject({ run: first.run, duplicate: true })
    const changed = { ...command, context: { history: history(3) } }
    await expect(service.send(changed, ANN)).rejects.toMatchObject({ code: 'command_id_reused' })
    const state = await sessions.with('s', (session) => session.stateWithHistory('m1'))
    expect(state.messages[0]?.event.context?.history).toHaveLength(2)
    sessions.close()
  })
})
