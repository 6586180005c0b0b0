// The routes of the OpenAI API: chat completions, responses and models. Each request becomes a run of a session, with
// the same guarantees as over any other transport.
import type { Logger } from 'pino'
import type { TransportMetrics } from '../../metric/transport-metrics.ts'
import type { Caller } from '../../session/commands/caller.ts'
import type { SessionCache } from '../../session/session-cache.ts'
import type { SessionStores } from '../../session/session-replica.ts'
import type { SessionService } from '../../session/session-service.ts'
import { agUiRoutes } from '../ag-ui/ag-ui-transport.ts'
import type { ActiveReaders } from '../feed/active-readers.ts'
import type { Hub } from '../feed/hub.ts'
import type { Route } from '../http/route.ts'
import { AbandonedRuns } from './abandoned-runs.ts'
import { completionRoutes } from './chat-routes.ts'
import { modelRoutes } from './model-routes.ts'
import type { OpenAiPorts } from './openai-ports.ts'
import type { UnsupportedOptions } from './request-fields.ts'
import { responseRoutes } from './response-routes.ts'
import { RunStreams } from './run-streams.ts'

export interface OpenAiTransportPorts {
  readonly service: SessionService
  readonly stores: SessionStores
  readonly sessions: SessionCache
  readonly hub: Hub
  readonly logger: Logger
  /** Ids of the available models. */
  readonly models: readonly string[]
  /** Limit of a request's body. */
  readonly bodyBytes: number
  /** The options that a model's provider does not support. */
  readonly unsupported: UnsupportedOptions
  readonly acceptsFile: OpenAiPorts['acceptsFile']
  readonly inputTokens: OpenAiPorts['inputTokens']
  /** Milliseconds for which a run continues after its client has disconnected and cannot find it again. */
  readonly graceMs: number
  /** Deletes a session. @throws ReplyError */
  readonly deleteSession: (session: string, caller: Caller) => Promise<void>
  readonly activeReaders?: ActiveReaders | undefined
  readonly metrics?: TransportMetrics | undefined
}

export interface OpenAiTransport {
  /** For the Responses API over WebSocket. */
  readonly ports: OpenAiPorts
  readonly routes: readonly Route[]
  /** Cancels and deletes what disconnected clients left. Resolves when that is stored, or after a short time. */
  close(): Promise<void>
}

export function openOpenAiTransport(ports: OpenAiTransportPorts): OpenAiTransport {
  const abandoned = new AbandonedRuns(ports)
  const all: OpenAiPorts = { ...ports, streams: new RunStreams(ports), abandoned }
  return {
    ports: all,
    routes: [...completionRoutes(all), ...responseRoutes(all), ...modelRoutes(ports.models), ...agUiRoutes(all)],
    close: () => abandoned.close(),
  }
}
