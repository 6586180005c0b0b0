// What the session's HTTP doors are made of.
import type { Presence } from '../../presence/presence.ts'
import type { SessionAdmin } from '../../session/directory/session-admin.ts'
import type { SessionCache } from '../../session/session-cache.ts'
import type { SessionStores } from '../../session/session-replica.ts'
import type { SessionService } from '../../session/session-service.ts'
import type { ActiveReaders } from '../feed/active-readers.ts'
import type { JobTransport } from '../jobs/job-routes.ts'
import type { HttpConnections } from './http-connections.ts'
import type { HttpPresence } from './http-presence.ts'
import type { Readings } from './readings.ts'

export interface SessionHttpPorts {
  readonly service: SessionService
  readonly stores: SessionStores
  readonly sessions: SessionCache
  readonly shelf: SessionAdmin
  readonly presence: Presence
  /** Who is here over plain HTTP. */
  readonly watching: HttpPresence
  readonly readings: Readings
  readonly connections: HttpConnections
  readonly activeReaders?: ActiveReaders | undefined
  /** What a request that does not wait for the end of its run is answered with. */
  readonly jobs: Pick<JobTransport, 'accept'>
}
