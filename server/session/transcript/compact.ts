// Compaction: folds entries into fewer that say the same to a reader who starts from nothing. A finished
// run keeps its message, its start, its tool calls with their results, and its end with the whole output; an
// unfinished one keeps its latest start and a snapshot. Pure; folding twice is folding once.
import type { Event, EventOf, RunEnded } from '@parley/protocol'
import type { FoldedEntry } from '../../store/ports/transcript-store.ts'
import type { Folded } from '../state/apply-entry.ts'
import { addOutput, addPart, fromParts, hasCall, type RunOutput, toParts } from '../state/run-output.ts'

interface RunFold {
  started: Folded | undefined
  output: RunOutput | undefined
  /** The last entry that had output: the snapshot takes its place. */
  outputAt: Folded | undefined
  next: number
  /** What the run's latest start said. */
  as: ReturnType<typeof startedFields>
  /** The same, when the last output came: its owner may have been replaced since. */
  outputAs: ReturnType<typeof startedFields>
  ended: { readonly at: Folded; readonly event: RunEnded } | undefined
}

interface CallFold {
  called: Folded
  claimed: Folded | undefined
  decided: Folded | undefined
  result: Folded | undefined
}

/**
 * @param folded what was folded before, as `compact` returned it
 * @param entries what came after, in order
 */
export function compact(folded: readonly FoldedEntry[], entries: Iterable<Folded>): FoldedEntry[] {
  const kept: Folded[] = []
  const runs = new Map<string, RunFold>()
  const calls = new Map<string, CallFold>()
  let updated: { readonly at: Folded; readonly event: EventOf<'session.updated'> } | undefined

  const runOf = (id: string): RunFold => {
    const run = runs.get(id) ?? {
      started: undefined,
      output: undefined,
      outputAt: undefined,
      next: 0,
      as: {},
      outputAs: {},
      ended: undefined,
    }
    runs.set(id, run)
    return run
  }

  /** As in session-state.ts: the start that a late call came after may be rolled up into this. */
  const dropLate = ({ run, epoch = 0, output }: EventOf<'run.snapshot' | 'run.ended'>): void => {
    if (output === undefined) return
    for (const [id, { called }] of calls) {
      const call = called.event as EventOf<'tool.called'>
      if (call.run !== run || (call.epoch ?? Infinity) >= epoch) continue
      if (!output.some((part) => part.type === 'tool' && part.call === id)) calls.delete(id)
    }
  }

  const take = (entry: Folded): void => {
    const { event } = entry
    switch (event.type) {
      case 'message':
      case 'member.joined':
      case 'member.left':
      case 'invite.created':
      case 'invite.revoked':
        kept.push(entry)
        break
      case 'session.deleted':
        // Such a session is not folded: it goes away.
        break
      case 'session.updated':
        updated = { at: entry, event: mergeUpdates(updated?.event, event) }
        break
      case 'run.started': {
        const run = runOf(event.run)
        run.started = entry
        run.next = event.next
        run.as = startedFields(event, entry.time)
        if (event.mode === 'restart') {
          run.output = undefined
          run.outputAt = undefined
        }
        break
      }
      case 'run.output': {
        const run = runOf(event.run)
        run.output = addOutput(run.output, event.kind, event.index, event.text)
        run.outputAt = entry
        run.outputAs = run.as
        run.next = event.index + 1
        break
      }
      case 'run.snapshot': {
        const run = runOf(event.run)
        run.output = fromParts(event.output)
        run.outputAt = entry
        run.next = event.next
        run.as = startedFields(event, event.startedAt)
        run.outputAs = run.as
        dropLate(event)
        break
      }
      case 'run.ended': {
        const run = runOf(event.run)
        if (event.output !== undefined) run.output = fromParts(event.output)
        run.ended = { at: run.ended?.at ?? entry, event }
        dropLate(event)
        break
      }
      case 'tool.called': {
        const call = calls.get(event.call)
        if (call === undefined) {
          const run = runOf(event.run)
          // Of an owner that had been replaced (see `isLate` in session-state.ts).
          const epoch = Math.max(run.as.epoch ?? 0, run.ended?.event.epoch ?? 0)
          if ((event.epoch ?? Infinity) < epoch && !hasCall(run.output, event.call)) break
          calls.set(event.call, { called: entry, claimed: undefined, decided: undefined, result: undefined })
          // A snapshot that was folded before may have the call already.
          if (run.ended === undefined && !hasCall(run.output, event.call)) {
            run.output = addPart(run.output, { type: 'tool', call: event.call, name: event.name })
          }
        } else {
          // Not spread: the event of a log's entry is a getter, and would be left behind.
          call.called = { seq: call.called.seq, time: entry.time, event }
          call.claimed = undefined
        }
        break
      }
      case 'tool.claimed':
      case 'tool.decided':
      case 'tool.result': {
        const call = calls.get(event.call)
        if (call === undefined) break
        if (event.type === 'tool.claimed') call.claimed = entry
        else if (event.type === 'tool.decided') call.decided = entry
        else call.result ??= entry
        break
      }
    }
  }

  for (const entry of folded) take({ seq: entry.seq, time: entry.time, event: JSON.parse(entry.json) as Event })
  for (const entry of entries) take(entry)

  if (updated !== undefined) kept.push({ ...updated.at, event: updated.event })
  for (const call of calls.values()) {
    kept.push(call.called)
    if (call.decided !== undefined) kept.push(call.decided)
    if (call.result !== undefined) kept.push(call.result)
    else if (call.claimed !== undefined) kept.push(call.claimed)
  }
  for (const [id, run] of runs) kept.push(...foldRun(id, run))
  return kept
    .sort((a, b) => a.seq - b.seq)
    .map((entry) => ({ seq: entry.seq, time: entry.time, json: JSON.stringify(entry.event) }))
}

function foldRun(id: string, run: RunFold): Folded[] {
  const output = toParts(run.output)
  const started = run.started === undefined ? [] : [run.started]
  if (run.ended !== undefined) {
    const { compacted: _, output: __, ...event } = run.ended.event
    const ended = { ...run.ended.at, event: { ...event, output } }
    return [...started.map((entry) => asFirst(entry, ended)), ended]
  }
  if (run.outputAt === undefined) return started.map((entry) => asFirst(entry))
  const snapshot = {
    ...run.outputAt,
    event: { type: 'run.snapshot' as const, run: id, ...run.outputAs, next: run.next, output },
  }
  return [...started.map((entry) => asFirst(entry, snapshot)), snapshot]
}

function startedFields(event: EventOf<'run.started' | 'run.snapshot'>, startedAt?: number) {
  const { epoch, model, message, owner } = event
  return {
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(owner === undefined ? {} : { owner }),
    ...(epoch === undefined ? {} : { epoch }),
    ...(model === undefined ? {} : { model }),
    ...(message === undefined ? {} : { message }),
  }
}

/**
 * To a reader who starts from nothing there is nothing to drop: a restart is told as going on. And he holds nothing yet of
 * what earlier owners put out: where that comes behind the start, the start is told as from the first index.
 */
function asFirst(started: Folded, whole?: Folded): Folded {
  const { event } = started
  if (event.type !== 'run.started') return started
  const mode = event.mode === 'restart' ? 'continue' : event.mode
  const next = whole !== undefined && whole.seq > started.seq ? 0 : event.next
  return { seq: started.seq, time: started.time, event: { ...event, mode, next } }
}

function mergeUpdates(
  before: EventOf<'session.updated'> | undefined,
  event: EventOf<'session.updated'>,
): EventOf<'session.updated'> {
  if (before === undefined) return event
  const tools = new Map([...(before.tools ?? []), ...(event.tools ?? [])].map((tool) => [tool.name, tool] as const))
  const title = event.title ?? before.title
  return {
    type: 'session.updated',
    ...(title === undefined ? {} : { title }),
    ...(tools.size === 0 ? {} : { tools: [...tools.values()] }),
  }
}
