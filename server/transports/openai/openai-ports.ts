// The dependencies of the OpenAI API's routes.
import type { Context, FilePart, Part } from '@parley/protocol'
import type { Caller } from '../../session/commands/caller.ts'
import type { SessionCache } from '../../session/session-cache.ts'
import type { SessionStores } from '../../session/session-replica.ts'
import type { SessionService } from '../../session/session-service.ts'
import type { ActiveReaders } from '../feed/active-readers.ts'
import type { AbandonedRuns } from './abandoned-runs.ts'
import type { UnsupportedOptions } from './request-fields.ts'
import type { RunStreams } from './run-streams.ts'

export interface OpenAiPorts {
  readonly service: SessionService
  readonly stores: SessionStores
  readonly sessions: SessionCache
  readonly streams: RunStreams
  readonly abandoned: AbandonedRuns
  /** Ids of responses that are not stored, and live as long as the caller's connection. */
  readonly unstored?: Pick<ReadonlySet<string>, 'has'>
  readonly activeReaders?: ActiveReaders | undefined
  /** Ids of the available models. */
  readonly models: readonly string[]
  /** Limit of a request's body. */
  readonly bodyBytes: number
  /** The options that a model's provider does not support. */
  readonly unsupported: UnsupportedOptions
  /** Whether the model gets the file, and not only its name. */
  readonly acceptsFile: (model: string, file: FilePart) => boolean
  /** About how many tokens the model gets for a message that carries its whole conversation. */
  readonly inputTokens: (model: string, content: Part[], context: Context) => number
  /** Deletes a session. @throws ReplyError */
  readonly deleteSession: (session: string, caller: Caller) => Promise<void>
}
