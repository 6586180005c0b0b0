// The doors that clients of the OpenAI API know: change the base URL, and what they ask for is a run of a session, with all
// that this server promises of one.
import type { Route } from '../http/route.ts'
import { type ChatPorts, chatRoute } from './chat-routes.ts'
import { modelRoutes } from './model-routes.ts'
import { responseRoutes } from './response-routes.ts'
import { RunStreams, type RunStreamsPorts } from './run-streams.ts'

export interface OpenAiPorts extends Omit<ChatPorts, 'streams'>, RunStreamsPorts {
  /** Ids of the models on offer. */
  readonly models: readonly string[]
}

export function openAiRoutes(ports: OpenAiPorts): readonly Route[] {
  const all = { ...ports, streams: new RunStreams(ports) }
  return [chatRoute(all), ...responseRoutes(all), ...modelRoutes(ports.models)]
}
