// ScriptedChild: what the driver of a child run, or a user who cancels it, may append next. Part of scripted-log.ts.
import type { Event } from '@parley/protocol'
import { startedAs } from '../commands/end-run.ts'
import { isChild, mayStart } from '../state/child-runs.ts'
import { completeParts, toParts } from '../state/run-output.ts'
import type { RunRecord } from '../state/run-record.ts'
import type { SessionState } from '../state/session-state.ts'

export interface Append {
  readonly event: Event
  readonly rollup: boolean
}

/** @param pick selects the child and the step @param n makes the text unique */
export function childAppends(state: SessionState, pick: number, n: number): { run: string; appends: Append[] } {
  const child = state.children[pick % Math.max(1, state.children.length)]
  if (child === undefined || !isChild(child)) return { run: '', appends: [] }
  const run = child.id
  const appends = mayStart(state, child) || child.epoch > 0 ? steps(child, Math.floor(pick / 5), n) : []
  return { run, appends }
}

function steps(child: RunRecord, pick: number, n: number): Append[] {
  const run = child.id
  const once = (event: Event, rollup = false): Append[] => [{ event, rollup }]
  const started = (mode: 'new' | 'continue' | 'restart'): Event => {
    const { message, parent, agent, next } = child
    const who = { ...(parent && { parent }), ...(agent === undefined ? {} : { agent }) }
    return { type: 'run.started', run, epoch: child.epoch + 1, mode, model: 'm', message, next, ...who }
  }
  const text: Event = { type: 'run.output', run, index: child.next, kind: 'text', text: `<child ${n}>` }
  if (child.epoch === 0) return [...once(started('new')), ...once(text)]
  const output = toParts(child.output)
  const { next } = child
  switch (pick % 7) {
    case 0:
      return once({ type: 'run.snapshot', run, ...startedAs(child), next, output }, true)
    case 1:
      return once(started('continue'))
    case 2: {
      const kept = completeParts(output)
      const again = { ...startedAs({ ...child, epoch: child.epoch + 1 }), next, output: kept, changes: true as const }
      return [
        ...once(started('restart')),
        ...(kept.length === 0 ? [] : once({ type: 'run.snapshot', run, ...again }, true)),
      ]
    }
    case 3: {
      const usage = { inputTokens: 1, outputTokens: n }
      return once({ type: 'run.ended', run, ...startedAs(child), reason: 'completed', usage, next, output }, true)
    }
    default:
      return once(text)
  }
}
