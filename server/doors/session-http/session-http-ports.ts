// What the session's HTTP doors are made of.
import type { SessionStores } from '../../session/session.ts'
import type { SessionCache } from '../../session/session-cache.ts'
import type { SessionService } from '../../session/session-service.ts'
import type { Readings } from './readings.ts'

export interface SessionHttpPorts {
  readonly service: SessionService
  readonly stores: SessionStores
  readonly sessions: SessionCache
  readonly readings: Readings
}
