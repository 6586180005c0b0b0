// The dependencies of the session's HTTP routes.
import type { Presence } from '../../presence/presence.ts'
import type { SessionAdmin } from '../../session/directory/session-admin.ts'
import type { SessionCache } from '../../session/session-cache.ts'
import type { SessionStores } from '../../session/session-replica.ts'
import type { SessionService } from '../../session/session-service.ts'
import type { ActiveReaders } from '../feed/active-readers.ts'
import type { JobTransport } from '../jobs/job-routes.ts'
import type { HttpConnections } from './http-connections.ts'
import type { HttpPresence } from './http-presence.ts'
import type { HttpReaders } from './http-readers.ts'

export interface SessionHttpPorts {
  readonly service: SessionService
  readonly stores: SessionStores
  readonly sessions: SessionCache
  readonly sessionAdmin: SessionAdmin
  readonly presence: Presence
  readonly httpPresence: HttpPresence
  readonly httpReaders: HttpReaders
  readonly connections: HttpConnections
  readonly activeReaders?: ActiveReaders | undefined
  /** Maximum wait of a request in seconds. */
  readonly waitMaxS: number
  /** Answers a request that does not wait for the end of its run. */
  readonly jobs: Pick<JobTransport, 'accept'>
}
