// testService: the session service of one node on the stores of a test, with its cache of sessions.
import { pino } from 'pino'
import { SESSION_CACHE_DEFAULTS, SessionCache, type SessionCacheOptions } from '../session-cache.ts'
import { createSessionService, type SessionService, type SessionServiceOptions } from '../session-service.ts'

type Stores = SessionServiceOptions['stores']

/** @param open whether every user may do everything, as on a server without access tokens; default true */
export function testService(
  { log, transcripts, runs }: Pick<Stores, 'log' | 'transcripts' | 'runs'>,
  { open = true, cache = SESSION_CACHE_DEFAULTS }: { open?: boolean; cache?: SessionCacheOptions } = {},
): { sessions: SessionCache; service: SessionService } {
  const stores = { log, transcripts, runs }
  const sessions = new SessionCache(stores, cache)
  const service = createSessionService({
    stores,
    sessions,
    checkChoice: () => undefined,
    serverTools: new Set(),
    open,
    leaseMs: 1_000,
    logger: pino({ enabled: false }),
  })
  return { sessions, service }
}

/** A cache that keeps no session that nobody uses. */
export const NO_CACHE: SessionCacheOptions = { lingerMs: 0, maxIdle: 0 }
