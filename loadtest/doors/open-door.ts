// openDoor: from a door's name to its driver.
import type { DoorContext, DoorName, DoorUser } from './door.ts'
import { LongPollDoor } from './long-poll-door.ts'
import { RequestDoor } from './request-door.ts'
import { SdkDoor } from './sdk-door.ts'
import { ShortPollDoor } from './short-poll-door.ts'
import { StreamDoor } from './stream-door.ts'
import { WebSocketDoor } from './websocket-door.ts'

export function openDoor(name: DoorName, context: DoorContext): DoorUser {
  switch (name) {
    case 'ws':
      return new WebSocketDoor(context)
    case 'sse':
    case 'ndjson':
      return new StreamDoor(context, name)
    case 'request':
      return new RequestDoor(context)
    case 'long-poll':
      return new LongPollDoor(context)
    case 'short-poll':
      return new ShortPollDoor(context)
    case 'sdk':
      return new SdkDoor(context)
  }
}
