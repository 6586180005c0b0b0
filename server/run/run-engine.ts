// RunEngine: takes runs from the queue, waits until each is due, and drives it to its end. Nothing is kept
// here that the log does not hold: a run whose engine died is given to the next one, which goes on.
import { parseCursor, ReplyError } from '@parley/protocol'
import type { Logger } from 'pino'
import type { RunMetrics } from '../metric/run-metrics.ts'
import type { ModelCatalog } from '../model/model.ts'
import { compactRun, endRun, endWatch } from '../session/commands/end-run.ts'
import { offerOpen } from '../session/commands/send.ts'
import type { SessionCache } from '../session/session-cache.ts'
import type { SessionReplica } from '../session/session-replica.ts'
import type { RunRecord } from '../session/state/run-record.ts'
import { findCommand, findRun, lateSteerRun, type SessionState } from '../session/state/session-state.ts'
import type { TranscriptWriter } from '../session/transcript/transcript-writer.ts'
import { StorageError } from '../store/ports/errors.ts'
import { type Delivery, DeliveryLost, type RunQueue, type Taking } from '../store/ports/run-queue.ts'
import type { SessionLog } from '../store/ports/session-log.ts'
import type { ServerTool } from '../tool/define-tool.ts'
import type { Tracer } from '../trace/tracer.ts'
import { CompletionMetrics } from './completion-metrics.ts'
import type { RunBudgets } from './run-budget.ts'
import { RunDriver, type RunLimits } from './run-driver.ts'

/** A named way to answer, chosen by `agent` in `send`. */
export interface Agent {
  readonly model?: string | undefined
  readonly system?: string | undefined
  /** Names of the server's tools it may use; left out: all. */
  readonly tools?: readonly string[] | undefined
}

export interface RunEngineOptions {
  readonly log: SessionLog
  readonly runs: RunQueue
  readonly sessions: SessionCache
  readonly transcripts: TranscriptWriter
  readonly models: ModelCatalog
  readonly agents: ReadonlyMap<string, Agent>
  readonly system: string | undefined
  readonly serverTools: ReadonlyMap<string, ServerTool>
  readonly limits: RunLimits
  readonly node: string
  /** Runs driven, or waited for, at once. */
  readonly concurrency: number
  /** Owners in a row that may be lost without having brought anything forth, before the run is given up. */
  readonly maxStalls: number
  /** Owners of one run in all. */
  readonly maxAttempts: number
  readonly logger: Logger
  readonly metrics?: RunMetrics | undefined
  readonly tracer?: Tracer | undefined
  readonly budgets?: RunBudgets | undefined
  /** Told which users' runs this node has, those that wait for their turn among them. */
  readonly places?: RunPlaceKeeper | undefined
  /** Whether anybody reads a session now, or did a moment ago, on any node. */
  readonly isRead?: (session: string) => Promise<boolean>
}

export interface RunPlaceKeeper {
  began(user: string, run: string): void
  ended(user: string, run: string): void
}

export interface RunEngine {
  start(): Promise<void>
  /** Runs that are being driven now. */
  readonly active: number
  /** Takes no more runs, gives those under way so many milliseconds to end, and hands over the rest. */
  stop(drainMs: number): Promise<void>
}

export const RUN_LIMITS: RunLimits = {
  steps: 16,
  outputTokens: 32_768,
  runMs: 30 * 60_000,
  contextChars: 400_000,
  firstTokenMs: 60_000,
  betweenTokensMs: 30_000,
  approvalMs: 10 * 60_000,
  clientToolMs: 60_000,
  modelTries: 3,
  modelWaitMs: 30_000,
  storageWaitMs: 60_000,
  messageWaitMs: 12_000,
}

/** Milliseconds in which nearly every message comes that was stored after its offer. */
const SOON_MS = 250
/** Milliseconds until an owner that was stopped by the log sees there why. */
const STOPPED_WAIT_MS = 10_000
/** Milliseconds for which a handler tries by itself while the log is away, before the queue has to. */
const AWAY_MS = 10 * 60_000

export function createRunEngine(options: RunEngineOptions): RunEngine {
  const { log, runs, sessions, transcripts, logger } = options
  const stopping = new AbortController()
  const count = options.metrics && new CompletionMetrics(options.metrics, options.isRead)
  let taking: Taking | undefined
  let active = 0
  let idle: (() => void) | undefined

  async function handle(delivery: Delivery, signal: AbortSignal): Promise<void> {
    const lease = await sessions.retain(delivery.session)
    try {
      const { session } = lease
      const found = await appears(log, session, delivery, signal, options.limits.messageWaitMs)
      if (!found && findCommand(session.state, delivery.command) === undefined) {
        logger.info({ session: delivery.session, run: delivery.run }, 'run was offered without its message')
        return
      }
      if (!found && !(await comesLate(session, delivery, AbortSignal.any([signal, stopping.signal])))) return
      const before = findRun(session.state, delivery.run)
      await inItsPlace(session, delivery.run, () => toItsEnd(session, delivery, signal))
      count?.done(session, delivery, before)
      // Runs that ended now may have left work that only the log knows of.
      await endWatch(log, session)
      await offerOpen(runs, session)
      await transcripts.fold(session)
    } finally {
      lease.release()
    }
  }

  async function inItsPlace(session: SessionReplica, run: string, work: () => Promise<void>): Promise<void> {
    const { places } = options
    const message = findRun(session.state, run)?.message
    const user = session.state.messages.find(({ event }) => event.id === message)?.event.author
    if (places === undefined || user === undefined) return work()
    places.began(user, run)
    try {
      await work()
    } finally {
      places.ended(user, run)
    }
  }

  async function toItsEnd(session: SessionReplica, delivery: Delivery, signal: AbortSignal): Promise<void> {
    const until = performance.now() + AWAY_MS
    for (;;) {
      try {
        if (await advance(session, delivery, signal)) return
      } catch (error) {
        const away = error instanceof StorageError || (error instanceof ReplyError && error.retryable)
        if (!away || signal.aborted || performance.now() > until) throw error
        // It would never learn what has happened since: the queue gives the run to somebody who opens it anew.
        if (session.lost !== undefined) throw error
        logger.warn({ err: error, run: delivery.run }, 'run waits for the log')
        await pause(1_000, signal)
      }
    }
  }

  /** @returns whether the run has ended */
  async function advance(session: SessionReplica, delivery: Delivery, signal: AbortSignal): Promise<boolean> {
    const { run } = delivery
    await endWatch(log, session)
    const view = findRun(session.state, run)
    if (view === undefined || view.phase === 'ended') {
      // Its owner may have died between the end and the fold.
      await compactRun(log, session, run)
      return true
    }
    if (view.stalls >= options.maxStalls || delivery.attempt > options.maxAttempts) {
      const error = { code: 'owner_lost' as const, message: 'Too many owners of this run were lost.' }
      await endRun(log, session, run, { reason: 'failed', error })
      return false
    }
    if (!isDue(session.state, run)) {
      // What stands before it may have lost its offer.
      await offerOpen(runs, session)
      const left = AbortSignal.any([signal, stopping.signal])
      await session.until((state) => (isDue(state, run) ? true : undefined), left)
      return false
    }
    // What has not begun is left for the next node.
    stopping.signal.throwIfAborted()
    await drive(session, view, signal)
    return false
  }

  async function drive(session: SessionReplica, view: RunRecord, signal: AbortSignal): Promise<void> {
    active += 1
    try {
      const owner = choose(session, view)
      const { node, limits, metrics, tracer, budgets } = options
      const epoch = await RunDriver.drive(
        { ...owner, log, node, limits, logger, metrics, tracer, budgets },
        session,
        view,
        signal,
      )
      await isOver(session, view.id, epoch)
    } catch (error) {
      // A model or agent that was taken out of the configuration since.
      if (!(error instanceof ReplyError) || error.retryable) throw error
      await endRun(log, session, view.id, { reason: 'failed', error: { code: error.code, message: error.message } })
    } finally {
      active -= 1
      if (active === 0) idle?.()
    }
  }

  function choose(session: SessionReplica, view: RunRecord) {
    const message = session.state.messages.find((candidate) => candidate.event.id === view.message)?.event
    const agent = agentOf(options.agents, message?.agent)
    const allowed = agent?.tools
    const serverTools =
      allowed === undefined
        ? options.serverTools
        : new Map([...options.serverTools].filter(([name]) => allowed.includes(name)))
    const model = options.models.get(message?.model ?? agent?.model)
    return { model, system: agent?.system ?? options.system, serverTools }
  }

  return {
    get active() {
      return active
    },
    async start() {
      taking = await runs.take(handle, { concurrency: options.concurrency })
    },
    async stop(drainMs) {
      // What has not begun goes to the next node at once; what has is given its time.
      taking?.drain()
      stopping.abort()
      if (active > 0 && drainMs > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, drainMs)
          idle = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      taking?.close()
    },
  }
}

/** @throws ReplyError agent_not_found */
export function agentOf(agents: ReadonlyMap<string, Agent>, name: string | undefined): Agent | undefined {
  if (name === undefined) return undefined
  const agent = agents.get(name)
  if (agent === undefined) throw new ReplyError('agent_not_found')
  return agent
}

/** It is this run's turn, or it is over. */
function isDue(state: SessionState, run: string): boolean {
  return state.open[0]?.id === run || findRun(state, run)?.phase === 'ended'
}

/** Whether the run's message is there, or comes soon. An offer may be made in vain, by a repeated command. */
async function appears(
  log: SessionLog,
  session: SessionReplica,
  { run, command }: Delivery,
  signal: AbortSignal,
  waitMs: number,
): Promise<boolean> {
  const comes = async (ms: number): Promise<boolean> => {
    try {
      const seen = (state: SessionState) => findRun(state, run) ?? state.deleted
      await session.until(seen, AbortSignal.any([signal, AbortSignal.timeout(ms)]))
      return true
    } catch (error) {
      if (signal.aborted || session.lost !== undefined) throw error
      return false
    }
  }
  // This node may hear of it late, and of what makes a run of it: what the log says now counts.
  const isKnown = async (): Promise<boolean> => {
    const head = parseCursor(await log.head(session.id))?.seq ?? 0
    const isThere = (state: SessionState): true | undefined =>
      state.seq >= head || findRun(state, run) !== undefined ? true : undefined
    await session.until(isThere, AbortSignal.any([signal, AbortSignal.timeout(AWAY_MS)]))
    return findRun(session.state, run) !== undefined
  }
  if ((await comes(Math.min(waitMs, SOON_MS))) || (await isKnown())) return true
  // A message that names another run was sent twice, and that one is its own.
  if ((await log.last(session.id, `in.${command}`)) === 0 && (await comes(waitMs))) return true
  return isKnown()
}

/**
 * Whether a steering message turns out to have come too late for the run that it was sent to, and has its own. Until one or the
 * other is known the offer is kept: who finds that it has its own run may be told that this is queued already.
 */
async function comesLate(session: SessionReplica, { run, command }: Delivery, signal: AbortSignal): Promise<boolean> {
  if (run !== lateSteerRun(command)) return false
  await session.until((state) => (isSteering(state, command) ? undefined : true), signal)
  return findRun(session.state, run) !== undefined
}

/** It waits to be taken by a run that has not ended. */
function isSteering(state: SessionState, message: string): boolean {
  return state.open.some((view) => view.steers.includes(message))
}

/**
 * An owner stops when the run has ended, which the session may have to be told yet, or when another owner has it.
 * @param epoch of the owner that stopped; of the one before it, when it could not even begin
 * @throws DeliveryLost when another has it: it must not be fought over
 */
async function isOver(session: SessionReplica, run: string, epoch: number): Promise<void> {
  const how = await session.until((state) => {
    const view = findRun(state, run)
    if (view === undefined || view.phase === 'ended') return 'ended'
    return view.epoch > epoch ? 'taken' : undefined
  }, AbortSignal.timeout(STOPPED_WAIT_MS))
  if (how === 'taken') throw new DeliveryLost()
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const over = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', over)
      resolve()
    }
    const timer = setTimeout(over, ms)
    signal.addEventListener('abort', over, { once: true })
  })
  signal.throwIfAborted()
}
