// Driver of the WebSocket, with either codec. Each reading has its own connection.
import { type CodecName, type ErrorFrame, makeId, type ServerFrame } from '@parley/protocol'
import { TestClient } from '../../transports/test/test-client.ts'
import {
  type Item,
  type MessageRequest,
  Reading,
  socketUrl,
  type TransportDriver,
  TransportError,
} from './transport-driver.ts'

export function webSocketTransport(codec: CodecName): TransportDriver {
  return {
    name: `websocket ${codec}`,
    finds: 'run',

    async begin(node, message) {
      const client = await enter(node, codec)
      await attach(client, message.session, undefined)
      const { id, session, content } = message
      client.send({ type: 'send', id, session, content })
      await acknowledged(client, id)
      return { message, reading: read(client, message) }
    },

    async resume(node, message, _run, after) {
      const client = await enter(node, codec)
      await attach(client, message.session, after)
      return read(client, message)
    },

    async cancel(node, session, run) {
      const client = await enter(node, codec)
      await attach(client, session, undefined)
      const id = makeId('x')
      client.send({ type: 'cancel', id, session, run })
      await acknowledged(client, id)
      client.destroy()
    },
  }
}

async function enter(node: string, codec: CodecName): Promise<TestClient> {
  const client = new TestClient(socketUrl(node), { codec })
  await client.opened
  client.send({ type: 'hello' })
  await client.when(() => client.frames.some(({ type }) => type === 'welcome'))
  return client
}

async function attach(client: TestClient, session: string, after: string | undefined): Promise<void> {
  const id = makeId('a')
  client.send({ type: 'attach', id, session, ...(after === undefined ? {} : { after }) })
  await acknowledged(client, id)
}

async function acknowledged(client: TestClient, id: string): Promise<void> {
  const isAnswer = (frame: ServerFrame): boolean => 'id' in frame && frame.id === id
  await client.when(() => client.frames.some(isAnswer))
  const answer = client.frames.find(isAnswer)
  if (answer?.type !== 'error') return
  client.destroy()
  throw new TransportError((answer as ErrorFrame).code)
}

function read(client: TestClient, { session }: MessageRequest): Reading {
  const lost = client.closed.then(({ code }) => {
    throw new Error(`closed with ${code}`)
  })
  // A pending read reports the error; otherwise it must not become an unhandled rejection.
  lost.catch(() => undefined)
  return new Reading(async function* (signal) {
    signal.addEventListener('abort', () => client.destroy())
    for (let at = 0; ; at += 1) {
      if (client.frames.length <= at) await Promise.race([client.when(() => client.frames.length > at), lost])
      const item = asItem(client.frames[at] as ServerFrame, session)
      if (item !== undefined) yield item
    }
  })
}

function asItem(frame: ServerFrame, session: string): Item | undefined {
  if (frame.type === 'entry' && frame.session === session) return { kind: 'entry', entry: frame }
  return frame.type === 'attached' && frame.reset === true ? { kind: 'reset' } : undefined
}
