// openDriver: creates the driver of a transport.
import type { DriverContext, DriverUser, TransportName } from './driver.ts'
import { LongPollDriver } from './long-poll-driver.ts'
import { RequestDriver } from './request-driver.ts'
import { SdkDriver } from './sdk-driver.ts'
import { ShortPollDriver } from './short-poll-driver.ts'
import { StreamDriver } from './stream-driver.ts'
import { WebSocketDriver } from './websocket-driver.ts'

export function openDriver(name: TransportName, context: DriverContext): DriverUser {
  switch (name) {
    case 'ws':
      return new WebSocketDriver(context)
    case 'sse':
    case 'ndjson':
      return new StreamDriver(context, name)
    case 'request':
      return new RequestDriver(context)
    case 'long-poll':
      return new LongPollDriver(context)
    case 'short-poll':
      return new ShortPollDriver(context)
    case 'sdk':
      return new SdkDriver(context)
  }
}
