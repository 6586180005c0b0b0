// The sequence number of a republished message, read from the server's raw bytes.
import { connect, headers, type Msg, type NatsConnection } from '@nats-io/transport-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NatsServer } from '../../../../bench/cluster/nats-server.ts'
import { sequenceOf } from './message-sequence.ts'

let server: NatsServer
let nats: NatsConnection
beforeAll(async () => {
  server = await NatsServer.start()
  nats = await connect({ servers: server.url })
  const stream = { name: 'S', subjects: ['log.>'], republish: { src: 'log.>', dest: 'live.>' } }
  await nats.request('$JS.API.STREAM.CREATE.S', JSON.stringify(stream))
})
afterAll(async () => {
  await nats.close()
  await server.dispose()
})

/** The message that arrives on a subject after `publish`. */
async function received(subject: string, publish: () => void): Promise<Msg> {
  const subscription = nats.subscribe(subject, { max: 1 })
  publish()
  for await (const message of subscription) return message
  throw new Error('no message arrived')
}

describe('the sequence number of a message', () => {
  it('is read from the server’s header among those of the publisher', async () => {
    const messageHeaders = headers()
    messageHeaders.set('Nats-Expected-Last-Subject-Sequence', '0')
    messageHeaders.set('X-Nats-Sequence', '77')
    const first = await received('live.a', () => nats.publish('log.a', 'one', { headers: messageHeaders }))
    const second = await received('live.b', () => nats.publish('log.b', 'Nats-Sequence: 9'))
    expect([sequenceOf(first), first.headers?.get('Nats-Sequence')]).toEqual([1, '1'])
    expect([sequenceOf(second), second.headers?.get('Nats-Sequence')]).toEqual([2, '2'])
  })

  it('is read from the header of an announced message', async () => {
    const messageHeaders = headers()
    messageHeaders.set('Nats-Sequence', '9007199254740991')
    const message = await received('live.c', () => nats.publish('live.c', 'x', { headers: messageHeaders }))
    expect(sequenceOf(message)).toBe(Number.MAX_SAFE_INTEGER)
  })

  it('is 0 without the header', async () => {
    const messageHeaders = headers()
    messageHeaders.set('Other', '1')
    expect(sequenceOf(await received('live.d', () => nats.publish('live.d', '\r\nNats-Sequence: 5')))).toBe(0)
    expect(sequenceOf(await received('live.d', () => nats.publish('live.d', 'x', { headers: messageHeaders })))).toBe(0)
  })

  it('is read with the client’s parser if the client’s internals differ', async () => {
    const message = await received('live.e', () => nats.publish('log.e', 'x'))
    const other = { headers: message.headers } as Msg
    expect(sequenceOf(other)).toBe(sequenceOf(message))
  })
})
