// The drivers of all transports of a node.
import { eventsPollTransport, jobTransport } from './poll-transports.ts'
import { requestTransport } from './request-transport.ts'
import { responsesTransport } from './responses-transport.ts'
import { eventsTransport, postTransport } from './stream-transports.ts'
import type { TransportDriver } from './transport-driver.ts'
import { webSocketTransport } from './websocket-transport.ts'

export const TRANSPORTS: readonly TransportDriver[] = [
  webSocketTransport('json'),
  webSocketTransport('msgpack'),
  eventsTransport('sse', false),
  eventsTransport('sse', true),
  eventsTransport('ndjson', false),
  eventsTransport('ndjson', true),
  eventsPollTransport('long'),
  eventsPollTransport('short'),
  postTransport('sse'),
  postTransport('ndjson'),
  requestTransport(),
  jobTransport('short'),
  jobTransport('long'),
  responsesTransport(),
]
