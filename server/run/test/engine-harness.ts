// EngineHarness: a run engine and a session service over real LMDB stores in a temporary folder, with a model that the test scripts
// part by part. Tests observe only the log.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type {
  LanguageModelV3,
  LanguageModelV3CallOptions,
  LanguageModelV3StreamPart,
  SharedV3Warning,
} from '@ai-sdk/provider'
import { type Event, makeId, type Send } from '@parley/protocol'
import { pino } from 'pino'
import type { RunMetrics } from '../../metric/run-metrics.ts'
import type { Model, ModelCatalog } from '../../model/model.ts'
import type { Caller } from '../../session/commands/caller.ts'
import { SessionCache } from '../../session/session-cache.ts'
import { SessionReplica } from '../../session/session-replica.ts'
import { createSessionService, type SessionService } from '../../session/session-service.ts'
import { TRANSCRIPT_DEFAULTS, TranscriptWriter } from '../../session/transcript/transcript-writer.ts'
import { type LmdbStores, openLmdbStores } from '../../store/lmdb/stores.ts'
import type { ServerTool } from '../../tool/define-tool.ts'
import type { McpServers } from '../../tool/mcp/mcp-servers.ts'
import type { Agent } from '../agent/agents.ts'
import type { RelayPort } from '../relayed/relayed-calls.ts'
import type { RemoteAgentPorts } from '../remote-agent.ts'
import { createRunEngine, type RunEngine } from '../run-engine.ts'
import { RUN_LIMITS, type RunLimits } from '../run-limits.ts'

/** A scripted model call: the test pushes its parts. */
export interface PlayedCall {
  readonly options: LanguageModelV3CallOptions
  /** What the provider's package says that it could not pass on. */
  warn(...warnings: SharedV3Warning[]): void
  text(delta: string): void
  reasoning(delta: string): void
  tool(name: string, input: unknown, id?: string): void
  /** Any part, such as a source. */
  part(part: LanguageModelV3StreamPart): void
  /** @param cached input tokens read from the provider's cache, and written to it */
  finish(reason?: 'stop' | 'tool-calls' | 'length' | 'content-filter', cached?: readonly [number, number]): void
  /** Breaks the stream. */
  fail(error: unknown): void
  /** Ends the stream without a finish part. */
  cut(): void
  /** Resolves when the request is aborted. */
  readonly aborted: Promise<void>
}

export class PlayedModel implements Model {
  readonly id = 'played'
  prefill: Model['prefill'] = 'none'
  contextTokens = 100_000
  readonly calls: PlayedCall[] = []
  /** Errors that the next calls throw. */
  readonly failures: unknown[] = []
  #waiting: ((call: PlayedCall) => void)[] = []
  #taken = 0

  readonly language = {
    specificationVersion: 'v3',
    provider: 'played',
    modelId: 'played',
    supportedUrls: {},
    doGenerate: () => Promise.reject(new Error('not used')),
    doStream: async (options: LanguageModelV3CallOptions) => {
      if (this.failures.length > 0) throw this.failures.shift()
      return { stream: this.#play(options) }
    },
  } as unknown as LanguageModelV3

  /** The next model call. */
  async next(): Promise<PlayedCall> {
    const call = this.calls[this.#taken]
    this.#taken += 1
    return call ?? new Promise((resolve) => this.#waiting.push(resolve))
  }

  #play(options: LanguageModelV3CallOptions): ReadableStream<LanguageModelV3StreamPart> {
    let controller!: ReadableStreamDefaultController<LanguageModelV3StreamPart>
    let cancelled = (): void => undefined
    const aborted = new Promise<void>((resolve) => {
      cancelled = resolve
      options.abortSignal?.addEventListener('abort', () => resolve(), { once: true })
    })
    const stream = new ReadableStream<LanguageModelV3StreamPart>({
      start: (own) => {
        controller = own
      },
      cancel: () => cancelled(),
    })
    const call: PlayedCall = {
      options,
      aborted,
      warn: (...warnings) => controller.enqueue({ type: 'stream-start', warnings }),
      text: (delta) => controller.enqueue({ type: 'text-delta', id: '0', delta }),
      reasoning: (delta) => controller.enqueue({ type: 'reasoning-delta', id: 'r', delta }),
      tool: (name, input, id = makeId('p')) =>
        controller.enqueue({
          type: 'tool-call',
          toolCallId: id,
          toolName: name,
          input: typeof input === 'string' ? input : JSON.stringify(input),
        }),
      part: (part) => controller.enqueue(part),
      finish: (reason = 'stop', [cacheRead, cacheWrite] = [0, 0]) => {
        const usage = {
          inputTokens: { total: 7, noCache: 7 - cacheRead - cacheWrite, cacheRead, cacheWrite },
          outputTokens: { total: 3, text: 3, reasoning: 0 },
        }
        controller.enqueue({ type: 'finish', usage, finishReason: { unified: reason, raw: reason } })
        controller.close()
      },
      fail: (error) => controller.error(error),
      cut: () => controller.close(),
    }
    this.calls.push(call)
    this.#waiting.shift()?.(call)
    return stream
  }
}

export interface HarnessOptions {
  readonly limits?: Partial<RunLimits>
  readonly serverTools?: readonly ServerTool[]
  readonly mcp?: McpServers
  readonly remote?: RemoteAgentPorts
  readonly leaseMs?: number
  /** Maximum number of runs that work at the same time. */
  readonly concurrency?: number
  /** The same for one user. */
  readonly userConcurrency?: number
  /** Tests may change them between `close` and `open`. */
  readonly agents?: ReadonlyMap<string, Agent>
  /** Sessions have members and roles. */
  readonly members?: boolean
  /** Instead of the played model. */
  readonly model?: Model
  /** For messages with the model `other`. */
  readonly other?: Model
  /** Keeps the responses of `model`. */
  readonly relay?: RelayPort
  /** Survives `close` and `open`. */
  readonly metrics?: RunMetrics
}

export class EngineHarness {
  readonly model = new PlayedModel()
  readonly path = mkdtempSync(join(tmpdir(), 'parley-run-'))
  stores!: LmdbStores
  service!: SessionService
  engine!: RunEngine
  #sessions!: SessionCache
  #options: HarnessOptions = {}
  #watched: SessionReplica[] = []

  static async start(options: HarnessOptions = {}): Promise<EngineHarness> {
    const harness = new EngineHarness()
    harness.#options = options
    await harness.open()
    return harness
  }

  /** @param prepare changes the stores before the engine uses them @param meanwhile what happens while no driver runs */
  async open(
    prepare: (stores: LmdbStores) => void = () => undefined,
    meanwhile: () => Promise<unknown> = async () => undefined,
  ): Promise<void> {
    const logger = pino({ level: 'silent' })
    const { limits, serverTools = [], leaseMs = 30_000, metrics, model = this.model, other = model } = this.#options
    this.stores = await openLmdbStores({ path: this.path, logger })
    prepare(this.stores)
    const { log, runs } = this.stores
    this.#sessions = new SessionCache(this.stores)
    const tools = new Map(serverTools.map((tool) => [tool.name, tool]))
    const get = (id?: string): Model => (id === 'other' ? other : model)
    const models: ModelCatalog = { defaultId: model.id, ids: [model.id], get }
    this.service = createSessionService({
      stores: this.stores,
      sessions: this.#sessions,
      checkChoice: () => undefined,
      open: this.#options.members !== true,
      serverTools: new Set(tools.keys()),
      leaseMs,
      logger,
    })
    this.engine = createRunEngine({
      log,
      runs,
      sessions: this.#sessions,
      transcripts: new TranscriptWriter(this.stores, { ...TRANSCRIPT_DEFAULTS, logger }),
      models,
      agents: this.#options.agents ?? new Map(),
      remote: this.#options.remote,
      system: undefined,
      serverTools: tools,
      mcp: this.#options.mcp,
      limits: { ...RUN_LIMITS, ...limits },
      node: 'n1',
      concurrency: this.#options.concurrency ?? 1_000,
      userConcurrency: this.#options.userConcurrency,
      maxStalls: 3,
      maxAttempts: 50,
      logger,
      metrics,
      relay: this.#options.relay,
    })
    await meanwhile()
    await this.engine.start()
  }

  /** Hands over all runs, as a graceful stop without a drain does. */
  async close(): Promise<void> {
    for (const session of this.#watched) session.close()
    this.#watched = []
    await this.engine.stop(0)
    this.#sessions.close()
    await this.stores.close()
  }

  async dispose(): Promise<void> {
    await this.close()
    rmSync(this.path, { recursive: true, force: true })
  }

  async send(session: string, text: string, more: Partial<Send> = {}, caller = CALLER) {
    return this.service.send({ type: 'send', id: makeId('c'), session, content: text, ...more }, caller)
  }

  /** Resolves with the first matching event, past or future. */
  async event<T extends Event['type']>(
    session: string,
    type: T,
    fits: (event: Extract<Event, { type: T }>) => boolean = () => true,
  ): Promise<Extract<Event, { type: T }>> {
    return new Promise((resolve, reject) => {
      const subscription = this.stores.log.follow(session, `${this.stores.log.epoch}.0`, {
        entries: (entries) => {
          for (const { event } of entries) {
            if (event.type !== type || !fits(event as Extract<Event, { type: T }>)) continue
            resolve(event as Extract<Event, { type: T }>)
            subscription.then(
              (own) => own.close(),
              () => undefined,
            )
            return
          }
        },
      })
      subscription.catch(reject)
    })
  }

  async watch(session: string): Promise<SessionReplica> {
    const watched = await SessionReplica.open(this.stores, session)
    this.#watched.push(watched)
    return watched
  }

  async entries(session: string): Promise<Event[]> {
    const events: Event[] = []
    for await (const batch of this.stores.log.read(session, `${this.stores.log.epoch}.0`)) {
      for (const entry of batch) events.push(entry.event)
    }
    return events
  }
}

export const CALLER: Caller = { connection: 'conn_1', user: 'ada', role: 'owner' }
export const OTHER: Caller = { connection: 'conn_2', user: 'bob', role: 'owner' }
