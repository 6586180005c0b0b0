// The session's doors over plain HTTP: every route under /v1/sessions.
import type { Route } from '../http/route.ts'
import { eventsRoute } from './events.ts'
import type { SessionHttpPorts } from './session-http-ports.ts'

export function sessionRoutes(ports: SessionHttpPorts): readonly Route[] {
  return [eventsRoute(ports)]
}
