// All routes under /v1/sessions: a session over plain HTTP.
import type { Route } from '../http/route.ts'
import { commandRoutes, connectionRoutes } from './commands.ts'
import { eventsRoute } from './events.ts'
import { memberRoutes } from './members.ts'
import { messagesRoute } from './messages.ts'
import { presenceRoute } from './presence.ts'
import type { SessionHttpPorts } from './session-http-ports.ts'
import { sessionsRoutes } from './sessions.ts'
import { snapshotRoute } from './snapshot.ts'

export function sessionRoutes(ports: SessionHttpPorts): readonly Route[] {
  return [
    ...sessionsRoutes(ports),
    snapshotRoute(ports),
    eventsRoute(ports),
    messagesRoute(ports),
    ...commandRoutes(ports),
    ...connectionRoutes(ports),
    ...memberRoutes(ports),
    presenceRoute(ports),
  ]
}
