// send: stores a user's message and offers the run that answers it. The policy determines what happens to the
// unfinished runs. Every step is idempotent.

import {
  type Content,
  type Context,
  type Door,
  LIMITS,
  type MessageEvent,
  makeId,
  type Part,
  type Policy,
  ReplyError,
  type Send,
  stringifyJson,
  type UserLimits,
} from '@parley/protocol'
import { lateSteerRun } from '@parley/protocol/make-id'
import { titleOf } from '@parley/protocol/title'
import { Conflict, CursorLost } from '../../store/ports/errors.ts'
import type { RunQueue } from '../../store/ports/run-queue.ts'
import type { SessionLog } from '../../store/ports/session-log.ts'
import type { TranscriptStore } from '../../store/ports/transcript-store.ts'
import { catchUp } from '../catch-up.ts'
import { abridge, isAbridgedFrom } from '../large-messages.ts'
import { messageIdsOf } from '../run-report.ts'
import type { SessionReplica } from '../session-replica.ts'
import type { RunRecord } from '../state/run-record.ts'
import { activeRun, findCommand, findRun, type MessageState } from '../state/session-state.ts'
import { asReplyError } from './compare-and-append.ts'
import { appendImpliedEnds } from './end-run.ts'
import type { RunAdmission } from './run-admission.ts'

export interface SendPorts {
  readonly log: SessionLog
  readonly transcripts: TranscriptStore
  readonly runs: RunQueue
  /** Omitted: every user may start runs. */
  readonly admission?: RunAdmission
  /** Checks the sender's role as of now. @throws ReplyError forbidden, unavailable; StorageError */
  readonly confirm: () => Promise<void>
}

/** The origin of a message, which the log stores with it. */
export interface Origin {
  readonly door?: Door
  readonly variant?: string
  /** The span of the command. */
  readonly trace?: string | undefined
  /** Limits from the author's access token. */
  readonly limits?: UserLimits
  /** Encrypted claims of the author's access token. They travel with the run, and are not in the log. */
  readonly credentials?: string
}

export interface Sent {
  readonly seq: number
  readonly message: string
  readonly run?: string
  /** The message steers the run of another message. */
  readonly steers?: true
  readonly duplicate?: true
  /** The message ended runs. */
  readonly final?: true
}

/**
 * The maximum of messages that wait to steer a run. Each keeps an offer in the run queue, and only the run counts for its user: with
 * more of them, one user's share of the runs could fill the queue's handlers.
 */
const WAITING_STEERS = 8

/**
 * @param tools names of the client tools that are available now
 * @throws ReplyError forbidden, run_active, queue_full, budget_exceeded, too_many_runs, parent_not_found, command_id_reused,
 * unavailable, storage_full
 */
export async function send(
  ports: SendPorts,
  session: SessionReplica,
  command: Send,
  user: string,
  tools: readonly string[],
  { door, variant, trace, limits, credentials }: Origin = {},
): Promise<Sent> {
  const content = asParts(command.content)
  const before = findCommand(session.state, command.id)
  const again = { command, content, user, credentials }
  if (before !== undefined) return sendAgain(ports, session, again)

  await checkParent(ports.log, session, command.parent)

  const { state } = session
  const policy = command.policy ?? 'queue'
  const active = activeRun(state)
  if (policy === 'reject' && active !== undefined) throw new ReplyError('run_active')
  if (policy !== 'interrupt' && state.open.length >= LIMITS.queuedRuns) {
    throw new ReplyError('queue_full', undefined, { retryAfterMs: 2_000 })
  }
  // A message in another branch does not steer the active run: it gets a run of its own.
  const steered = policy === 'steer' && active !== undefined && answers(active, command.parent)
  if (steered && active.steers.length >= WAITING_STEERS) {
    throw new ReplyError('queue_full', undefined, { retryAfterMs: 2_000 })
  }
  const run = steered ? active.id : makeId('run')
  try {
    if (!steered && ports.admission !== undefined) {
      const replaces = countReplaced(session, policy, user)
      await ports.admission.acquire({ user, limits, session: session.id, run, replaces })
    }
  } catch (error) {
    // Another node may have stored this message a moment ago. Then it needs no further run.
    await catchUp(ports, session)
    if (findCommand(session.state, command.id) === undefined) throw error
    return sendAgain(ports, session, again)
  }
  const whole: MessageEvent = {
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
    ...(state.title === undefined ? firstTitle(state.messages, content, command.context) : {}),
    ...(policy === 'reject' ? { after: state.seq } : {}),
    ...(tools.length === 0 ? {} : { tools: [...tools] }),
    ...(door === undefined ? {} : { door }),
    ...(variant === undefined ? {} : { variant }),
    ...(trace === undefined ? {} : { trace }),
    ...(limits?.budget === undefined ? {} : { budget: limits.budget }),
  }
  let seq: number
  try {
    const event = await abridge(ports, session.id, whole)
    // The role is confirmed while the run is offered, so that it costs no further round trip. A run whose message never
    // comes is dropped.
    const confirmed = ports.confirm()
    if (!ports.runs.offerFirst) await confirmed
    // Both in one turn of the event loop, so that they share a commit if the store can do that. `ok` waits for both, so
    // an acknowledged message has a run. A steering message may be late and need its own run: nobody else would offer
    // it if this node died now.
    const own = steered ? lateSteerRun(command.id) : run
    const queued = { session: session.id, run: own, command: command.id }
    const offered = ports.runs.offer(credentials === undefined ? queued : { ...queued, credentials })
    if (ports.runs.offerFirst) await Promise.all([offered, confirmed])
    const appended = ports.log.append(session.id, `in.${command.id}`, event, 0)
    const [entry, offer] = await Promise.allSettled([appended, offered])
    if (entry.status === 'rejected') throw entry.reason
    if (offer.status === 'rejected') throw offer.reason
    seq = entry.value.seq
  } catch (error) {
    if (!steered) ports.admission?.release(user, run)
    if (!(error instanceof Conflict)) throw asReplyError(error)
    await session.reached(error.last)
    return sendAgain(ports, session, again, error.last)
  }
  await session.reached(seq)
  const lost = findRun(session.state, run)
  const rejected = lost?.rejected === true || lost?.ended?.error?.code === 'run_active'
  // Others may have died before they appended ends, or offered runs.
  await appendImpliedEnds(ports.log, session)
  await offerQueuedRuns(ports.runs, session, command.id)
  if (rejected) throw new ReplyError('run_active')
  // A steering message may have been too late for its run.
  const own = session.state.open.find(({ message }) => message === command.id)?.id
  const steers = steered && own === undefined ? { steers: true as const } : {}
  return { message: command.id, run: own ?? run, ...steers, ...effectOf(session, seq, policy) }
}

/** The content as parts, the form that the log stores. */
export function asParts(content: Content): Part[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content
}

/** The title that an untitled session gets: from the first words of its user. */
function firstTitle(
  messages: readonly MessageState[],
  content: readonly Part[],
  context: Context | undefined,
): Pick<MessageEvent, 'title'> {
  const history = (context?.history ?? []).flatMap((each) => (each.role === 'user' ? [each.content] : []))
  for (const parts of [...messages.map(({ event }) => event.content), ...history, content]) {
    for (const part of parts) {
      const title = part.type === 'text' ? titleOf(part.text) : undefined
      if (title !== undefined) return { title }
    }
  }
  return {}
}

/** @throws ReplyError parent_not_found, unavailable; StorageError */
async function checkParent(log: SessionLog, session: SessionReplica, parent: Send['parent']): Promise<void> {
  if (typeof parent !== 'string' || (await session.hasMessage(parent))) return
  // Another node may have stored it a moment ago.
  await catchUp({ log }, session)
  if (!(await session.hasMessage(parent))) throw new ReplyError('parent_not_found')
}

/** The number of the author's runs that the message ends. */
function countReplaced({ state }: SessionReplica, policy: Policy, author: string): number {
  if (policy !== 'interrupt') return 0
  const theirs = new Set(state.messages.filter(({ event }) => event.author === author).map(({ event }) => event.id))
  return state.open.filter(({ message }) => theirs.has(message)).length
}

/** Whether the active run answers the message's parent, or was steered by it. */
function answers(active: RunRecord, parent: Send['parent']): boolean {
  return parent === undefined || (parent !== null && messageIdsOf(active).has(parent))
}

interface Repeated {
  readonly command: Send
  readonly content: readonly Part[]
  readonly user: string
  readonly credentials: string | undefined
}

/** Handles a repeated command: completes the steps that the first one may have missed, and returns the same result. */
async function sendAgain(
  ports: SendPorts,
  session: SessionReplica,
  { command, content, user, credentials }: Repeated,
  seq?: number,
): Promise<Sent> {
  const record = findCommand(session.state, command.id)
  const first = await firstMessage(ports.log, session, command.id, record?.seq ?? seq)
  if (record !== undefined && record.message === undefined) throw new ReplyError('command_id_reused')
  if (first !== undefined && !(await isSame(first, command, content))) throw new ReplyError('command_id_reused')
  // The first command may not have offered its run, and nobody else has the claims for it.
  const own = first?.author === user && credentials !== undefined ? { message: command.id, credentials } : undefined
  await appendImpliedEnds(ports.log, session)
  await offerQueuedRuns(ports.runs, session, undefined, own)
  // A late steering message has a run of its own.
  const { open, ended } = session.state
  const answer = [...open, ...ended.values()].find(({ message }) => message === command.id)
  if (answer?.ended?.error?.code === 'run_active') throw new ReplyError('run_active')
  const run = answer?.id ?? first?.run ?? record?.run
  return {
    message: command.id,
    ...(run === undefined ? {} : { run }),
    ...(own === undefined && first?.policy === 'steer' ? { steers: true } : {}),
    duplicate: true,
    ...effectOf(session, record?.seq ?? seq ?? 0, first?.policy),
  }
}

/** Whether the stored message has the content of the command. */
async function isSame(first: MessageEvent, command: Send, content: readonly Part[]): Promise<boolean> {
  const { policy = 'queue', model, agent, seen, parent, context } = command
  const before = [first.policy, first.model, first.agent, first.seen?.run, first.seen?.index]
  const now = [policy, model, agent, seen?.run, seen?.index]
  // Compared separately, because JSON does not distinguish a null parent from an omitted one.
  if (first.parent !== parent) return false
  if (JSON.stringify(before) !== JSON.stringify(now)) return false
  if (first.abridged !== undefined) return isAbridgedFrom(first, { content: [...content], context })
  return stringifyJson([first.content, first.context]) === stringifyJson([content, context])
}

/**
 * The last entry of the message's effect. The superseded runs of an interrupt have ended by now, and the state includes
 * that.
 */
function effectOf(session: SessionReplica, seq: number, policy: Policy | undefined): Pick<Sent, 'seq' | 'final'> {
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
    // The message is in an old segment of the transcript. It was sent, and its content is not compared.
    if (!(error instanceof CursorLost)) throw error
  }
  return undefined
}

/**
 * Offers the queued runs of the session, whose senders may have died before the offer. Idempotent.
 * @param except the message whose run was just offered
 * @param own the message whose sender's claims are known
 */
export async function offerQueuedRuns(
  runs: RunQueue,
  session: SessionReplica,
  except?: string,
  own?: { readonly message: string; readonly credentials: string },
): Promise<void> {
  const queued = session.state.open.filter((run) => run.phase === 'queued' && run.message !== except)
  try {
    const claims = (message: string) => (message === own?.message ? { credentials: own.credentials } : {})
    const offer = ({ id, message }: RunRecord) =>
      runs.offer({ session: session.id, run: id, command: message, ...claims(message) })
    await Promise.all(queued.map(offer))
  } catch (error) {
    throw asReplyError(error)
  }
}
