// AsyncApiDocument: the WebSocket as AsyncAPI 3.0, with the frames that each side sends and their schemas.
import { LIMITS, SUBPROTOCOLS } from '@parley/protocol'
import { frameSchemas, type JsonObject, PLACE } from './named-schemas.ts'

const CHANNEL = '#/channels/session'

export function asyncApiDocument(): JsonObject {
  const { client, server, schemas } = frameSchemas()
  const frames = [...client, ...server]
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Parley over a WebSocket',
      version: '1',
      description:
        'A WebSocket message contains one frame or an array of frames. The client sends `hello` first. A command ' +
        'has an `id`; the server answers it with `ok`, `attached` or `error` with the same `id`.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    defaultContentType: 'application/json',
    channels: {
      session: {
        address: '/v1/ws',
        description:
          `Subprotocols: \`${SUBPROTOCOLS.json}\` (text; the default if the client offers none) and ` +
          `\`${SUBPROTOCOLS.msgpack}\` (binary, MessagePack). A message from a client has at most ` +
          `${LIMITS.frameBytes} bytes.`,
        messages: Object.fromEntries(frames.map((name) => [name, { $ref: `#/components/messages/${name}` }])),
      },
    },
    operations: {
      // AsyncAPI describes the server's side: the server receives what clients send.
      fromClients: { action: 'receive', channel: { $ref: CHANNEL }, messages: client.map(inChannel) },
      toClients: { action: 'send', channel: { $ref: CHANNEL }, messages: server.map(inChannel) },
    },
    components: {
      messages: Object.fromEntries(
        frames.map((name) => [name, { name: typeOf(name), payload: { $ref: `${PLACE}/${name}` } }]),
      ),
      schemas,
    },
  }
}

function inChannel(name: string): JsonObject {
  return { $ref: `${CHANNEL}/messages/${name}` }
}

/** `client.tool.claim` is the frame `tool.claim`. */
function typeOf(name: string): string {
  return name.slice(name.indexOf('.') + 1)
}
