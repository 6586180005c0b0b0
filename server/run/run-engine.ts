// RunEngine: takes runs from the queue, waits until each is due, and drives it to its end. It keeps no state that is not in the
// log, so another engine can continue a run after this one died.
import { setTimeout as sleep } from 'node:timers/promises'
import { ANONYMOUS_USER, ERRORS, type RelayedRequest, ReplyError } from '@parley/protocol'
import type { Logger } from 'pino'
import type { RunMetrics } from '../metric/run-metrics.ts'
import type { ModelCatalog } from '../model/model.ts'
import { appendImpliedEnds, compactRun, endRun } from '../session/commands/end-run.ts'
import { offerQueuedRuns } from '../session/commands/send.ts'
import type { SessionCache } from '../session/session-cache.ts'
import type { SessionReplica } from '../session/session-replica.ts'
import { topRun } from '../session/state/child-runs.ts'
import type { RunRecord } from '../session/state/run-record.ts'
import { findCommand, findRun } from '../session/state/session-state.ts'
import type { TranscriptWriter } from '../session/transcript/transcript-writer.ts'
import { StorageError } from '../store/ports/errors.ts'
import type { Delivery, Idle, RunQueue, RunSubscription } from '../store/ports/run-queue.ts'
import type { SessionLog } from '../store/ports/session-log.ts'
import type { ServerTool } from '../tool/define-tool.ts'
import type { McpServers } from '../tool/mcp/mcp-servers.ts'
import type { Tracer } from '../trace/tracer.ts'
import { type Agents, agentNameOf, isHanded, type RunAgent, runAgent } from './agent/agents.ts'
import { CompletionMetrics } from './completion-metrics.ts'
import type { RelayPort } from './relayed/relayed-calls.ts'
import { AnswerLost } from './relayed/take-over.ts'
import {
  type RemoteAgent,
  type RemoteAgentPorts,
  type RemoteRun,
  remoteModel,
  stateOf,
  threadOf,
} from './remote-agent.ts'
import type { RunBudgets } from './run-budget.ts'
import { RunDriver } from './run-driver.ts'
import type { RunLimits } from './run-limits.ts'
import { FairShare } from './turn/fair-share.ts'
import {
  authorOf,
  isDue,
  isLateSteer,
  isShared,
  isSteering,
  isWanted,
  messageArrives,
  messageOf,
  OUTAGE_MS,
  waitForEnd,
} from './turn/run-turn.ts'

export interface RunEngineOptions {
  readonly log: SessionLog
  readonly runs: RunQueue
  readonly sessions: SessionCache
  readonly transcripts: TranscriptWriter
  readonly models: ModelCatalog
  readonly agents: Agents
  readonly system: string | undefined
  readonly serverTools: ReadonlyMap<string, ServerTool>
  /** What agents behind AG-UI need. */
  readonly remote?: RemoteAgentPorts | undefined
  /** Adds the tools of MCP servers. */
  readonly mcp?: Pick<McpServers, 'toolsFor'> | undefined
  readonly limits: RunLimits
  readonly node: string
  /** The maximum of concurrent runs, without those that wait for an earlier run, a person, or a tool. */
  readonly concurrency: number
  /** The maximum of concurrent runs of one user on this node, including child runs. Default: any number. */
  readonly userConcurrency?: number | undefined
  /** The run fails after this many drivers in a row were lost without any output. */
  readonly maxStalls: number
  /** The maximum of drivers of one run. */
  readonly maxAttempts: number
  readonly logger: Logger
  readonly metrics?: RunMetrics | undefined
  readonly tracer?: Tracer | undefined
  readonly budgets?: RunBudgets | undefined
  /** Keeps the responses of models for the next driver of a run. */
  readonly relay?: RelayPort | undefined
  /** Whether a model continues from the stored text if its answer is lost. Default: continue, if it can. */
  readonly recovery?: 'continue' | 'restart' | undefined
  /** Tracks the runs of each user on this node, queued ones included. */
  readonly activeRuns?: ActiveRunTracker | undefined
  /** Whether a session has a reader now, or had one a moment ago, on any node. */
  readonly isRead?: (session: string) => Promise<boolean>
}

export interface ActiveRunTracker {
  began(user: string, run: string): void
  ended(user: string, run: string): void
}

export interface RunEngine {
  start(): Promise<void>
  /** The number of runs with a driver. */
  readonly active: number
  /** Takes no more runs, waits `drainMs` for the active ones to end, and hands over the rest. */
  stop(drainMs: number): Promise<void>
}

export function createRunEngine(options: RunEngineOptions): RunEngine {
  const { log, runs, sessions, transcripts, logger } = options
  const stopping = new AbortController()
  const count = options.metrics && new CompletionMetrics(options.metrics, options.isRead)
  const share = options.userConcurrency === undefined ? undefined : new FairShare(options.userConcurrency)
  let taking: RunSubscription | undefined
  let active = 0
  let whenIdle: (() => void) | undefined

  async function handle(delivery: Delivery, signal: AbortSignal, idle: Idle): Promise<void> {
    const lease = await sessions.retain(delivery.session)
    try {
      const { session } = lease
      const found = await messageArrives(log, session, delivery, signal, options.limits.messageWaitMs)
      if (!found && findCommand(session.state, delivery.command) === undefined) {
        logger.info({ session: delivery.session, run: delivery.run }, 'run was offered without its message')
        return
      }
      if (!found || isSteering(session.state, delivery.command)) {
        const left = AbortSignal.any([signal, stopping.signal])
        if (!(await idle(isLateSteer(session, delivery, left), true))) return
      }
      const before = findRun(session.state, delivery.run)
      await trackActive(session, delivery.run, () => driveToEnd(session, delivery, signal, idle))
      count?.done(session, delivery, before)
      // Ended runs may leave work that only the log shows.
      await appendImpliedEnds(log, session)
      await offerQueuedRuns(runs, session)
      await transcripts.compact(session)
    } finally {
      lease.release()
    }
  }

  async function trackActive(session: SessionReplica, run: string, work: () => Promise<void>): Promise<void> {
    const { activeRuns } = options
    const user = authorOf(session.state, findRun(session.state, run)?.message)
    if (activeRuns === undefined || user === undefined) return work()
    activeRuns.began(user, run)
    try {
      await work()
    } finally {
      activeRuns.ended(user, run)
    }
  }

  async function driveToEnd(
    session: SessionReplica,
    delivery: Delivery,
    signal: AbortSignal,
    idle: Idle,
  ): Promise<void> {
    const until = performance.now() + OUTAGE_MS
    for (;;) {
      try {
        if (await advance(session, delivery, signal, idle)) return
      } catch (error) {
        const isOutage = error instanceof StorageError || (error instanceof ReplyError && error.retryable)
        if (!isOutage || signal.aborted || performance.now() > until) throw error
        // This replica no longer follows the log: the queue redelivers the run to a handler that opens the session again.
        if (session.lost !== undefined) throw error
        logger.warn({ err: error, run: delivery.run }, 'run waits for the log')
        await sleep(1_000, undefined, { signal }).catch(() => signal.throwIfAborted())
      }
    }
  }

  /** Takes the run one step further. @returns whether it has ended */
  async function advance(
    session: SessionReplica,
    delivery: Delivery,
    signal: AbortSignal,
    idle: Idle,
  ): Promise<boolean> {
    const { run } = delivery
    await appendImpliedEnds(log, session)
    const record = findRun(session.state, run)
    if (record === undefined || record.phase === 'ended') {
      // Its driver may have died before the end, or between the end and the compaction.
      if (record?.request !== undefined) void abandon(record, record.request)
      await compactRun(log, session, run)
      return true
    }
    if (record.stalls >= options.maxStalls || delivery.attempt > options.maxAttempts) {
      const error = { code: 'owner_lost' as const, message: ERRORS.owner_lost.message }
      await endRun(log, session, run, { reason: 'failed', error })
      return false
    }
    if (!isDue(session.state, run)) {
      // The run before it may have lost its offer.
      await offerQueuedRuns(runs, session)
      const left = AbortSignal.any([signal, stopping.signal])
      await idle(session.until((state) => (isDue(state, run) ? true : undefined), left))
      return false
    }
    // A run that has not started goes to another node.
    stopping.signal.throwIfAborted()
    const user = authorOf(session.state, topRun(session.state, record).message)
    // A worker may not verify access tokens, so only the run tells whether there are users.
    if (share === undefined || user === undefined || user === ANONYMOUS_USER) {
      await drive(session, record, delivery, signal, idle)
    } else if (!share.enter(user)) await idle(placeOrEnd(share, user, session, run, signal), true)
    else {
      try {
        await drive(session, record, delivery, signal, share.idle(user, idle, signal))
      } finally {
        share.leave(user)
      }
    }
    return false
  }

  /** Waits until the user has a place for the run, or the run needs none. */
  async function placeOrEnd(
    share: FairShare,
    user: string,
    session: SessionReplica,
    run: string,
    signal: AbortSignal,
  ): Promise<void> {
    const over = new AbortController()
    const left = AbortSignal.any([signal, stopping.signal, over.signal])
    try {
      const ended = session.until((state) => (isWanted(state, run) ? undefined : true), left)
      await Promise.race([share.free(user, left), ended])
    } finally {
      over.abort()
    }
  }

  /** Closes the request to the provider, which nobody needs. A later driver may have asked for its response, but not started. */
  async function abandon({ epoch }: RunRecord, { stream }: RelayedRequest): Promise<void> {
    await options.relay?.abandon({ key: stream, attempt: epoch + 1, mode: 'resume' })
  }

  async function drive(
    session: SessionReplica,
    record: RunRecord,
    { credentials }: Delivery,
    signal: AbortSignal,
    idle: Idle,
  ): Promise<void> {
    active += 1
    const { metrics } = options
    try {
      const choice = agentsFor(session, record, credentials)
      const offerChild = (child: string, call: string): Promise<void> => {
        const queued = { session: session.id, run: child, command: call }
        return runs.offer(credentials === undefined ? queued : { ...queued, credentials })
      }
      const { agent, agentNamed } = choice
      const { node, limits, tracer, budgets, relay, recovery } = options
      // Without a spread: an object that begins with one has a hidden class of its own.
      const driver = {
        agent,
        agentNamed,
        offerChild,
        log,
        node,
        limits,
        logger,
        metrics,
        tracer,
        budgets,
        relay,
        recovery,
        idle,
      }
      const epoch = await RunDriver.drive(driver, session, record, signal)
      await waitForEnd(session, record.id, epoch)
    } catch (error) {
      if (error instanceof AnswerLost) {
        metrics?.relayed('lost')
        logger.warn(
          { run: record.id, reason: error.message },
          'lost the answer of a model call; continuing from the log',
        )
        return
      }
      // The model or agent was removed from the configuration.
      if (!(error instanceof ReplyError) || error.retryable) throw error
      await endRun(log, session, record.id, { reason: 'failed', error: { code: error.code, message: error.message } })
    } finally {
      active -= 1
      if (active === 0) whenIdle?.()
    }
  }

  /** The agents for a run. */
  function agentsFor(session: SessionReplica, record: RunRecord, credentials: string | undefined) {
    const top = topRun(session.state, record)
    const message = messageOf(session.state, top.message)
    const sender = {
      credentials,
      author: message?.author,
      isShared: () => isShared(session.state, top.id, message?.author),
    }
    const named = (name: string | undefined, model: string | undefined): RunAgent =>
      runAgent(
        options,
        name,
        model,
        (own, allows) => options.mcp?.toolsFor(own, { ...sender, allows }) ?? own,
        (name, agent) => remoteAgent(name, agent, session, record, sender),
      )
    // The model that a message asks for is for the agent of that message.
    const model = record.parent === undefined && !isHanded(record) ? message?.model : undefined
    return {
      agent: named(agentNameOf(options.agents, session.state, record), model),
      agentNamed: (name: string) => named(name, undefined),
    }
  }

  function remoteAgent(
    name: string,
    agent: RemoteAgent,
    { id, state }: SessionReplica,
    record: RunRecord,
    sender: RemoteRun,
  ): Pick<RunAgent, 'model' | 'remote'> {
    const model = remoteModel(name, agent, sender, options.remote ?? {})
    return { model, remote: { thread: threadOf(state, id, record, name), state: stateOf(state, record, model.id) } }
  }

  return {
    get active() {
      return active
    },
    async start() {
      taking = await runs.take(handle, { concurrency: options.concurrency })
    },
    async stop(drainMs) {
      // Runs that have not started go to another node at once; the others get time to end.
      taking?.drain()
      stopping.abort()
      if (active > 0 && drainMs > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, drainMs)
          whenIdle = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      taking?.close()
    },
  }
}
