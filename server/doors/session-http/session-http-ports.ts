// What the session's HTTP doors are made of.
import type { Presence } from '../../presence/presence.ts'
import type { SessionStores } from '../../session/session.ts'
import type { SessionCache } from '../../session/session-cache.ts'
import type { SessionService } from '../../session/session-service.ts'
import type { Audience } from '../audience.ts'
import type { JobDoor } from '../jobs/job-routes.ts'
import type { HttpConnections } from './http-connections.ts'
import type { Readings } from './readings.ts'

export interface SessionHttpPorts {
  readonly service: SessionService
  readonly stores: SessionStores
  readonly sessions: SessionCache
  readonly presence: Presence
  readonly readings: Readings
  readonly connections: HttpConnections
  /** What a request that does not wait for the end of its run is answered with. */
  readonly audience?: Audience | undefined
  readonly jobs: Pick<JobDoor, 'accept'>
}
