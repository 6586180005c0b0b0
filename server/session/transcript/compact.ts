// Compaction: replaces entries by fewer ones that give a new reader the same state. A finished run keeps its message,
// its start, its tool calls with their results, and its end with the whole output. An unfinished run keeps its latest
// start and a snapshot. Pure and idempotent.
import { type EventOf, type RunEnded, stringifyJson } from '@parley/protocol'
import type { CompactedEntry } from '../../store/ports/transcript-store.ts'
import { type LoggedEvent, parseEntry } from '../state/apply-entry.ts'
import { addEvent, addPart, completeOutput, fromParts, hasCall, type RunOutput, toParts } from '../state/run-output.ts'
import { declare, type ToolDeclarations, withoutUser } from '../state/tool-declarations.ts'

interface CompactedRun {
  started: LoggedEvent | undefined
  output: RunOutput | undefined
  /** The last entry with output, which the snapshot replaces. */
  outputAt: LoggedEvent | undefined
  next: number
  /** The fields of the latest start. */
  attempt: ReturnType<typeof startedFields>
  /** The same at the time of the last output: its driver may have been replaced since. */
  outputAttempt: ReturnType<typeof startedFields>
  ended: { readonly at: LoggedEvent; readonly event: RunEnded } | undefined
}

interface CompactedCall {
  called: LoggedEvent
  claimed: LoggedEvent | undefined
  decided: LoggedEvent | undefined
  progress: LoggedEvent | undefined
  /** Questions and answers. */
  questions: LoggedEvent[]
  result: LoggedEvent | undefined
}

/**
 * @param compacted the result of the previous compaction
 * @param entries the entries after it, in order
 */
export function compact(compacted: readonly CompactedEntry[], entries: Iterable<LoggedEvent>): CompactedEntry[] {
  const kept: LoggedEvent[] = []
  const runs = new Map<string, CompactedRun>()
  const calls = new Map<string, CompactedCall>()
  let updated: { readonly at: LoggedEvent; readonly event: EventOf<'session.updated'> } | undefined

  const runOf = (id: string): CompactedRun => {
    const run = runs.get(id) ?? {
      started: undefined,
      output: undefined,
      outputAt: undefined,
      next: 0,
      attempt: {},
      outputAttempt: {},
      ended: undefined,
    }
    runs.set(id, run)
    return run
  }

  /** As in apply-entry.ts: the start that precedes a late call may be compacted into this entry. */
  const dropLateCalls = ({ run, epoch = 0, output }: EventOf<'run.snapshot' | 'run.ended'>): void => {
    if (output === undefined) return
    for (const [id, { called }] of calls) {
      const call = called.event as EventOf<'tool.called'>
      if (call.run !== run || (call.epoch ?? Infinity) >= epoch) continue
      if (!output.some((part) => part.type === 'tool' && part.call === id)) calls.delete(id)
    }
  }

  const add = (entry: LoggedEvent): void => {
    const { event } = entry
    switch (event.type) {
      case 'member.left':
        kept.push(entry)
        if (updated !== undefined) {
          const { tools = [] } = updated.event
          const remaining = withoutUser(declare(new Map(), tools), event.user)
          updated = { at: updated.at, event: updateOf(updated.event, remaining) }
        }
        break
      case 'message':
      case 'member.joined':
      case 'invite.created':
      case 'invite.revoked':
        kept.push(entry)
        break
      case 'session.deleted':
        // A deleted session is purged, not compacted.
        break
      case 'session.updated':
        updated = { at: entry, event: mergeUpdates(updated?.event, event) }
        break
      case 'run.started': {
        const run = runOf(event.run)
        run.started = entry
        run.next = event.next
        run.attempt = startedFields(event, entry.time)
        if (event.mode === 'restart') {
          // New readers have nothing to drop. The next snapshot says the same.
          run.output = completeOutput(run.output)
          if (run.output === undefined) run.outputAt = undefined
        }
        break
      }
      case 'run.output': {
        const run = runOf(event.run)
        run.output = addEvent(run.output, event)
        run.outputAt = entry
        run.outputAttempt = run.attempt
        run.next = event.index + 1
        break
      }
      case 'run.requested': {
        const run = runOf(event.run)
        const { stream, step, next, model } = event
        run.attempt = { ...run.attempt, request: { stream, step, next, model } }
        run.outputAt = entry
        run.outputAttempt = run.attempt
        break
      }
      case 'run.handed': {
        const run = runOf(event.run)
        run.attempt = { ...run.attempt, agent: event.to }
        run.outputAt = entry
        run.outputAttempt = run.attempt
        break
      }
      case 'run.snapshot': {
        const run = runOf(event.run)
        run.output = fromParts(event.output)
        run.outputAt = entry
        run.next = event.next
        run.attempt = startedFields(event, event.startedAt)
        run.outputAttempt = run.attempt
        dropLateCalls(event)
        break
      }
      case 'run.ended': {
        const run = runOf(event.run)
        if (event.output !== undefined) run.output = fromParts(event.output)
        run.ended = { at: run.ended?.at ?? entry, event }
        dropLateCalls(event)
        break
      }
      case 'tool.called': {
        const call = calls.get(event.call)
        if (call === undefined) {
          const run = runOf(event.run)
          // A late call of a replaced driver (see `isLateCall` in apply-entry.ts).
          const epoch = Math.max(run.attempt.epoch ?? 0, run.ended?.event.epoch ?? 0)
          if ((event.epoch ?? Infinity) < epoch && !hasCall(run.output, event.call)) break
          const none = { claimed: undefined, decided: undefined, progress: undefined, result: undefined }
          calls.set(event.call, { called: entry, questions: [], ...none })
          // A snapshot of an earlier compaction may contain the call.
          if (run.ended === undefined && !hasCall(run.output, event.call)) {
            run.output = addPart(run.output, { type: 'tool', call: event.call, name: event.name })
          }
        } else {
          // Not spread: `event` of an `Entry` is a getter, which a spread would drop.
          call.called = { seq: call.called.seq, time: entry.time, event }
          call.claimed = undefined
          call.progress = undefined
        }
        break
      }
      case 'tool.claimed':
      case 'tool.decided':
      case 'tool.progress':
      case 'tool.asked':
      case 'tool.answered':
      case 'tool.result': {
        const call = calls.get(event.call)
        if (call === undefined) break
        if (event.type === 'tool.claimed') call.claimed = entry
        else if (event.type === 'tool.decided') call.decided = entry
        else if (event.type === 'tool.progress') call.progress = entry
        else if (event.type !== 'tool.result') call.questions.push(entry)
        else call.result ??= entry
        break
      }
    }
  }

  for (const entry of compacted) add(parseEntry(entry))
  for (const entry of entries) add(entry)

  if (updated !== undefined) kept.push({ ...updated.at, event: updated.event })
  for (const call of calls.values()) {
    kept.push(call.called)
    if (call.decided !== undefined) kept.push(call.decided)
    kept.push(...call.questions)
    if (call.result !== undefined) {
      kept.push(call.result)
      continue
    }
    if (call.claimed !== undefined) kept.push(call.claimed)
    if (call.progress !== undefined) kept.push(call.progress)
  }
  for (const [id, run] of runs) kept.push(...compactRun(id, run))
  return kept
    .sort((a, b) => a.seq - b.seq)
    .map((entry) => ({ seq: entry.seq, time: entry.time, json: stringifyJson(entry.event) }))
}

function compactRun(id: string, run: CompactedRun): LoggedEvent[] {
  const output = toParts(run.output)
  const started = run.started === undefined ? [] : [run.started]
  if (run.ended !== undefined) {
    const { compacted: _, output: __, ...event } = run.ended.event
    const ended = { ...run.ended.at, event: { ...event, output } }
    return [...started.map((entry) => withoutRequest(forNewReader(entry, ended))), ended]
  }
  if (run.outputAt === undefined) return started.map((entry) => forNewReader(entry))
  const snapshot = {
    ...run.outputAt,
    event: { type: 'run.snapshot' as const, run: id, ...run.outputAttempt, next: run.next, output },
  }
  return [...started.map((entry) => forNewReader(entry, snapshot)), snapshot]
}

function startedFields(event: EventOf<'run.started' | 'run.snapshot'>, startedAt?: number) {
  const { epoch, model, message, owner, parent, agent, request } = event
  return {
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(owner === undefined ? {} : { owner }),
    ...(epoch === undefined ? {} : { epoch }),
    ...(model === undefined ? {} : { model }),
    ...(message === undefined ? {} : { message }),
    ...(parent === undefined ? {} : { parent }),
    ...(agent === undefined ? {} : { agent }),
    ...(request === undefined ? {} : { request }),
  }
}

/**
 * The start as a new reader needs it. It has no output to drop, so a restart becomes a continuation. It also lacks the
 * output of earlier attempts: if the entry with the output follows the start, the start begins at index 0.
 */
function forNewReader(started: LoggedEvent, withOutput?: LoggedEvent): LoggedEvent {
  const { event } = started
  if (event.type !== 'run.started') return started
  const mode = event.mode === 'restart' ? 'continue' : event.mode
  const next = withOutput !== undefined && withOutput.seq > started.seq ? 0 : event.next
  return { seq: started.seq, time: started.time, event: { ...event, mode, next } }
}

/** Nobody continues the model call of an ended run. */
function withoutRequest({ seq, time, event }: LoggedEvent): LoggedEvent {
  if (event.type !== 'run.started') return { seq, time, event }
  const { request: _, ...others } = event
  return { seq, time, event: others }
}

function mergeUpdates(
  previous: EventOf<'session.updated'> | undefined,
  event: EventOf<'session.updated'>,
): EventOf<'session.updated'> {
  if (previous === undefined) return event
  const tools = declare(declare(new Map(), previous.tools ?? []), event.tools ?? [])
  const title = event.title ?? previous.title
  const deleted = new Set([...(previous.deletedResponses ?? []), ...(event.deletedResponses ?? [])])
  return updateOf({ title, deletedResponses: [...deleted] }, tools)
}

function updateOf(
  {
    title,
    deletedResponses = [],
  }: Pick<EventOf<'session.updated'>, 'deletedResponses'> & { title?: string | undefined },
  tools: ToolDeclarations,
): EventOf<'session.updated'> {
  return {
    type: 'session.updated',
    ...(title === undefined ? {} : { title }),
    ...(tools.size === 0 ? {} : { tools: [...tools.values()].flat() }),
    ...(deletedResponses.length === 0 ? {} : { deletedResponses }),
  }
}

/** The length of the entries' JSON. */
export function jsonSize(entries: readonly CompactedEntry[]): number {
  return entries.reduce((sum, entry) => sum + entry.json.length, 0)
}
