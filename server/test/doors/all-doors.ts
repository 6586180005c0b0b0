// Every door of a node, as tests drive them.
import type { Door } from './door.ts'
import { eventsPollDoor, jobDoor } from './poll-doors.ts'
import { requestDoor } from './request-door.ts'
import { responsesDoor } from './responses-door.ts'
import { eventsDoor, postDoor } from './stream-doors.ts'
import { webSocketDoor } from './websocket-door.ts'

export const DOORS: readonly Door[] = [
  webSocketDoor('json'),
  webSocketDoor('msgpack'),
  eventsDoor('sse', false),
  eventsDoor('sse', true),
  eventsDoor('ndjson', false),
  eventsDoor('ndjson', true),
  eventsPollDoor('long'),
  eventsPollDoor('short'),
  postDoor('sse'),
  postDoor('ndjson'),
  requestDoor(),
  jobDoor('short'),
  jobDoor('long'),
  responsesDoor(),
]
