// What the doors of the OpenAI API are made of.
import type { SessionStores } from '../../session/session.ts'
import type { SessionCache } from '../../session/session-cache.ts'
import type { SessionService } from '../../session/session-service.ts'
import type { Audience } from '../audience.ts'
import type { AbandonedRuns } from './abandoned-runs.ts'
import type { RunStreams } from './run-streams.ts'

export interface OpenAiPorts {
  readonly service: SessionService
  readonly stores: SessionStores
  readonly sessions: SessionCache
  readonly streams: RunStreams
  readonly abandoned: AbandonedRuns
  readonly audience?: Audience | undefined
  /** Ids of the models on offer. */
  readonly models: readonly string[]
}
