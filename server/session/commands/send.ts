// send: takes a person's message. The message and the run that answers it are offered together; the
// policy says what becomes of the runs that are not finished yet. Every step is idempotent.
import {
  type Content,
  type Door,
  LIMITS,
  type MessageEvent,
  makeId,
  type Part,
  type Policy,
  ReplyError,
  type Send,
  type UserLimits,
} from '@parley/protocol'
import { Conflict, CursorLost } from '../../store/ports/errors.ts'
import type { RunQueue } from '../../store/ports/run-queue.ts'
import type { SessionLog } from '../../store/ports/session-log.ts'
import { catchUp } from '../find-run.ts'
import { messagesOf } from '../run-report.ts'
import type { SessionReplica } from '../session-replica.ts'
import type { RunRecord } from '../state/run-record.ts'
import { activeRun, findCommand, findRun, lateSteerRun } from '../state/session-state.ts'
import { asReplyError } from './compare-and-append.ts'
import { endWatch } from './end-run.ts'
import type { RunAdmission } from './run-admission.ts'

export interface SendPorts {
  readonly log: SessionLog
  readonly runs: RunQueue
  /** Left out: everybody may begin runs. */
  readonly entrance?: RunAdmission
}

/** What is noted of where a message came from. */
export interface Origin {
  readonly door?: Door
  readonly variant?: string
  /** The span in which it is taken. */
  readonly trace?: string | undefined
  /** The author's own, by the token. */
  readonly limits?: UserLimits
}

export interface Sent {
  readonly seq: number
  readonly message: string
  readonly run?: string
  readonly duplicate?: true
  /** Runs were ended by it. */
  readonly final?: true
}

const CATCH_UP_MS = 5_000

/**
 * @param tools names of the client tools on offer now
 * @throws ReplyError run_active, queue_full, budget_exceeded, too_many_runs, parent_not_found, command_id_reused, unavailable, storage_full
 */
export async function send(
  ports: SendPorts,
  session: SessionReplica,
  command: Send,
  user: string,
  tools: readonly string[],
  { door, variant, trace, limits }: Origin = {},
): Promise<Sent> {
  const content = asParts(command.content)
  const before = findCommand(session.state, command.id)
  if (before !== undefined) return repeated(ports, session, command, content)

  await checkParent(ports.log, session, command.parent)

  const { state } = session
  const policy = command.policy ?? 'queue'
  const active = activeRun(state)
  if (policy === 'reject' && active !== undefined) throw new ReplyError('run_active')
  if (policy !== 'interrupt' && state.open.length >= LIMITS.queuedRuns) {
    throw new ReplyError('queue_full', undefined, { retryAfterMs: 2_000 })
  }
  // A message that stands elsewhere has nothing to say to what is active: it waits for its own turn.
  const steered = policy === 'steer' && active !== undefined && standsAt(active, command.parent)
  const run = steered ? active.id : makeId('run')
  try {
    if (!steered && ports.entrance !== undefined) {
      const replaces = replacedBy(session, policy, user)
      await ports.entrance.enter({ user, limits, session: session.id, run, replaces })
    }
  } catch (error) {
    // Another node may have taken it a moment ago: then it is done, and nothing is asked for.
    await catchUp(ports, session)
    if (findCommand(session.state, command.id) === undefined) throw error
    return repeated(ports, session, command, content)
  }
  const event: MessageEvent = {
    type: 'message',
    id: command.id,
    role: 'user',
    author: user,
    content,
    policy,
    run,
    ...(command.model === undefined ? {} : { model: command.model }),
    ...(command.agent === undefined ? {} : { agent: command.agent }),
    ...(command.seen === undefined ? {} : { seen: command.seen }),
    ...(command.parent === undefined ? {} : { parent: command.parent }),
    ...(command.context === undefined ? {} : { context: command.context }),
    ...(policy === 'reject' ? { after: state.seq } : {}),
    ...(tools.length === 0 ? {} : { tools: [...tools] }),
    ...(door === undefined ? {} : { door }),
    ...(variant === undefined ? {} : { variant }),
    ...(trace === undefined ? {} : { trace }),
    ...(limits?.budget === undefined ? {} : { budget: limits.budget }),
  }
  let seq: number
  try {
    // In one turn, so that both are in one commit where they can be. `ok` waits for both: an acknowledged message has its run.
    // A steering message may come too late, and has a run of its own then: nobody else would offer it if this node died now.
    const own = steered ? lateSteerRun(command.id) : run
    const offered = ports.runs.offer({ session: session.id, run: own, command: command.id })
    if (ports.runs.apart) await offered
    const appended = ports.log.append(session.id, `in.${command.id}`, event, 0)
    const [entry, offer] = await Promise.allSettled([appended, offered])
    if (entry.status === 'rejected') throw entry.reason
    if (offer.status === 'rejected') throw offer.reason
    seq = entry.value.seq
  } catch (error) {
    if (!steered) ports.entrance?.leave(user, run)
    if (!(error instanceof Conflict)) throw asReplyError(error)
    await session.reached(error.last, AbortSignal.timeout(CATCH_UP_MS))
    return repeated(ports, session, command, content, error.last)
  }
  await session.reached(seq, AbortSignal.timeout(CATCH_UP_MS))
  const lost = findRun(session.state, run)
  const rejected = lost?.rejected === true || lost?.ended?.error?.code === 'run_active'
  await settle(ports, session, command.id)
  if (rejected) throw new ReplyError('run_active')
  // A steering message may have come too late for the run that it was sent to.
  const own = session.state.open.find((view) => view.message === command.id)?.id
  return { message: command.id, run: own ?? run, ...standing(session, seq, policy) }
}

/** The model-facing form of what was sent. */
export function asParts(content: Content): Part[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content
}

/** @throws ReplyError parent_not_found, unavailable; StorageError */
async function checkParent(log: SessionLog, session: SessionReplica, parent: Send['parent']): Promise<void> {
  if (typeof parent !== 'string' || (await session.holds(parent))) return
  // Another node may have taken it a moment ago.
  await catchUp({ log }, session)
  if (!(await session.holds(parent))) throw new ReplyError('parent_not_found')
}

/** How many runs of that author an interrupting message ends. */
function replacedBy({ state }: SessionReplica, policy: Policy, author: string): number {
  if (policy !== 'interrupt') return 0
  const theirs = new Set(state.messages.filter(({ event }) => event.author === author).map(({ event }) => event.id))
  return state.open.filter(({ message }) => theirs.has(message)).length
}

/** Whether what is active answers that message, or has been given it. */
function standsAt(active: RunRecord, parent: Send['parent']): boolean {
  return parent === undefined || (parent !== null && messagesOf(active).has(parent))
}

/** A command that was here before: completes what its first coming may have left undone, and says the same. */
async function repeated(
  ports: SendPorts,
  session: SessionReplica,
  command: Send,
  content: readonly Part[],
  seq?: number,
): Promise<Sent> {
  const record = findCommand(session.state, command.id)
  const first = await firstMessage(ports.log, session, command.id, record?.seq ?? seq)
  if (record !== undefined && record.message === undefined) throw new ReplyError('command_id_reused')
  if (first !== undefined && !isOf(first, command, content)) throw new ReplyError('command_id_reused')
  await settle(ports, session)
  // A late steering message has a run of its own.
  const { open, ended: over } = session.state
  const own = [...open, ...over.values()].find((view) => view.message === command.id)
  if (own?.ended?.error?.code === 'run_active') throw new ReplyError('run_active')
  const run = own?.id ?? first?.run ?? record?.run
  return {
    message: command.id,
    ...(run === undefined ? {} : { run }),
    duplicate: true,
    ...standing(session, record?.seq ?? seq ?? 0, first?.policy),
  }
}

/** Whether the stored message says what the command does. */
function isOf(first: MessageEvent, command: Send, content: readonly Part[]): boolean {
  const { policy = 'queue', model, agent, seen, parent, context } = command
  const before = [first.content, first.policy, first.model, first.agent, first.seen?.run, first.seen?.index]
  const now = [content, policy, model, agent, seen?.run, seen?.index]
  // In JSON, no parent is as none told.
  if (first.parent !== parent) return false
  return JSON.stringify([...before, first.context]) === JSON.stringify([...now, context])
}

/**
 * Up to where the effect of a message reaches: by now the runs that an interrupt supersedes have ended, whoever ended
 * them, and the state has folded it.
 */
function standing(session: SessionReplica, seq: number, policy: Policy | undefined): Pick<Sent, 'seq' | 'final'> {
  return policy === 'interrupt' ? { seq: Math.max(seq, session.state.seq), final: true } : { seq }
}

async function firstMessage(
  log: SessionLog,
  session: SessionReplica,
  id: string,
  seq: number | undefined,
): Promise<MessageEvent | undefined> {
  const known = session.state.messages.findLast((message) => message.event.id === id)
  if (known !== undefined) return known.event
  if (seq === undefined) return undefined
  try {
    for await (const [entry] of log.read(session.id, `${log.epoch}.${seq - 1}`, { batchEntries: 1 })) {
      return entry?.event.type === 'message' ? entry.event : undefined
    }
  } catch (error) {
    // Long ago: it is in an old segment of the transcript. That it was sent is all that matters.
    if (!(error instanceof CursorLost)) throw error
  }
  return undefined
}

/**
 * Does what the log implies after a message: ends the runs that it superseded, and offers runs that
 * somebody may have left without an offer. @param offered the message that has just offered its run itself
 */
async function settle(ports: SendPorts, session: SessionReplica, offered?: string): Promise<void> {
  await endWatch(ports.log, session)
  await offerOpen(ports.runs, session, offered)
}

/** Offers the runs of this session that wait and that the given message did not itself offer. Idempotent. */
export async function offerOpen(runs: RunQueue, session: SessionReplica, except?: string): Promise<void> {
  const waiting = session.state.open.filter((run) => run.phase === 'queued' && run.message !== except)
  try {
    await Promise.all(waiting.map((run) => runs.offer({ session: session.id, run: run.id, command: run.message })))
  } catch (error) {
    throw asReplyError(error)
  }
}
