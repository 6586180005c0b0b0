// ScriptedLog: a generated but valid log of a session for property tests. It contains what drivers, cancelling users
// and tools may append, in any order that conditional appends allow. It keeps compacted entries, so a test can read the
// log as of any moment.
import type { Event, RunEnded } from '@parley/protocol'
import { AGENT_MESSAGE } from '@parley/protocol/pieces/hidden-data'
import { Entry } from '../../store/ports/entry.ts'
import { calledAgain } from '../commands/call-again.ts'
import { startedAs } from '../commands/end-run.ts'
import { applyEntry } from '../state/apply-entry.ts'
import { openQuestion } from '../state/call-state.ts'
import { openChildren } from '../state/child-runs.ts'
import { completeParts, markUnseen, type RunOutput, toParts } from '../state/run-output.ts'
import { activeRun, EMPTY_SESSION, findRun, type SessionState } from '../state/session-state.ts'
import { childAppends } from './scripted-child.ts'

export const STEP_KINDS = [
  'message',
  'branch',
  'reject',
  'interrupt',
  'steer',
  'output',
  'input',
  'data',
  'source',
  'snapshot',
  'restart',
  'continue',
  'call',
  'delegate',
  'child',
  'handed',
  'requested',
  'late',
  'result',
  'claim',
  'again',
  'deny',
  'ask',
  'answer',
  'cancel',
  'complete',
  'compact',
  'title',
] as const

/** An attempted step, with a number that selects one of the possible outcomes. */
export interface Step {
  readonly kind: (typeof STEP_KINDS)[number]
  readonly pick: number
}

export class ScriptedLog {
  readonly entries: Entry[] = []
  state: SessionState = EMPTY_SESSION
  #last = new Map<string, number>()
  #count = 0
  readonly #isOld: boolean

  /** @param isOld the log was written before `tool.called` had `next`, and before arguments were streamed */
  constructor(isOld = false) {
    this.#isOld = isOld
  }

  /**
   * The entries that a reader gets after `position` while `upTo` is the head, without those that were compacted by
   * then.
   */
  read(position: number, upTo: number): Entry[] {
    const past = this.entries.filter((entry) => entry.seq <= upTo)
    return past.filter(
      (entry) =>
        entry.seq > position &&
        !past.some((later) => later.rollup && later.subject === entry.subject && later.seq > entry.seq),
    )
  }

  apply(step: Step): void {
    const { state } = this
    const active = state.open[0]
    this.#count += 1
    const n = this.#count
    switch (step.kind) {
      case 'message':
        return this.#message(n, 'queue', `run_${n}`)
      case 'branch': {
        const parents = [null, ...state.messages.map(({ event }) => event.id)]
        return this.#message(n, 'queue', `run_${n}`, undefined, parents[step.pick % parents.length])
      }
      case 'reject':
        if (activeRun(state) !== undefined) return
        this.#message(n, 'reject', `run_${n}`, state.seq)
        // Another node sends concurrently, with the same state: the first message wins.
        return step.pick % 2 === 0 ? this.#message(n + 1_000, 'reject', `run_${n + 1_000}`, state.seq) : undefined
      case 'interrupt':
        this.#message(n, 'interrupt', `run_${n}`)
        for (const run of this.state.open.filter((open) => open.supersededBy !== undefined)) {
          this.#end(run.id, 'superseded', step.pick)
        }
        return
      case 'steer': {
        // One in three names a run that has ended meanwhile.
        const late = step.pick % 3 === 0 ? [...state.ended.keys()].at(-1) : undefined
        return this.#message(n, 'steer', late ?? active?.id ?? `run_${n}`)
      }
      case 'title':
        return this.#append('meta', { type: 'session.updated', title: `title ${n}` })
      case 'compact': {
        const run = [...state.ended.values()].find(
          (record) => record.ended?.output === undefined && record.output !== undefined,
        )
        if (run?.ended === undefined) return
        const parts = toParts(run.output)
        const output = run.seen === undefined ? parts : markUnseen(parts, run.seen)
        return this.#append(`run.${run.id}`, { ...run.ended, output, compacted: true, at: run.last }, true)
      }
      case 'child': {
        if (state.children.length === 0) this.apply({ kind: 'delegate', pick: step.pick })
        const { run, appends } = childAppends(this.state, step.pick, n)
        for (const { event, rollup } of appends) this.#append(`run.${run}`, event, rollup)
        return
      }
      default:
    }
    if (active === undefined) return
    const run = active.id
    const subject = `run.${run}`
    if (active.phase === 'queued') {
      if (step.kind === 'cancel') return this.#end(run, 'cancelled', step.pick)
      this.#append(subject, {
        type: 'run.started',
        run,
        epoch: 1,
        mode: 'new',
        model: 'm',
        message: active.message,
        next: 0,
      })
    }
    const record = findRun(this.state, run)
    if (record === undefined) return
    switch (step.kind) {
      case 'output': {
        const kind = step.pick % 4 === 0 ? 'reasoning' : 'text'
        return this.#append(subject, { type: 'run.output', run, index: record.next, kind, text: `<${n}>` })
      }
      case 'input': {
        if (this.#isOld) return
        const open = this.#openInput(record.output)
        const call = open !== undefined && step.pick % 3 > 0 ? open : `call_${n}`
        const name = call === open ? {} : { name: 't' }
        const about = { type: 'run.output' as const, run, index: record.next, kind: 'input' as const }
        return this.#append(subject, { ...about, call, ...name, text: `{${n}` })
      }
      case 'data': {
        // Half of it replaces earlier data.
        const id = step.pick % 4 < 2 ? { id: `d${step.pick % 4}` } : {}
        const about = { type: 'run.output' as const, run, index: record.next, text: '' }
        // A remote agent's message begins.
        if (step.pick % 4 === 3)
          return this.#append(subject, { ...about, kind: 'data', name: AGENT_MESSAGE, data: { id: `m${n}` } })
        return this.#append(subject, { ...about, kind: 'data', name: 'chart', ...id, data: { n } })
      }
      case 'source': {
        const about = { type: 'run.output' as const, run, index: record.next, text: '' }
        if (step.pick % 2 === 0) return this.#append(subject, { ...about, kind: 'source', url: `https://e.org/${n}` })
        return this.#append(subject, { ...about, kind: 'file', mediaType: 'image/png', url: `https://e.org/${n}.png` })
      }
      case 'snapshot': {
        const steers =
          step.pick % 2 === 0 ? record.steers.map((message) => ({ type: 'message' as const, message })) : []
        return this.#append(
          subject,
          {
            type: 'run.snapshot',
            run,
            ...startedAs(record),
            next: record.next,
            output: [...toParts(record.output), ...steers],
            ...(steers.length > 0 ? { changes: true as const } : {}),
          },
          true,
        )
      }
      case 'restart':
      case 'continue': {
        this.#append(subject, {
          type: 'run.started',
          run,
          epoch: record.epoch + 1,
          mode: step.kind,
          model: 'm',
          message: record.message,
          next: record.next,
        })
        // As the engine does: it keeps the complete parts, and repeats them in a snapshot.
        const kept = completeParts(toParts(record.output))
        if (step.kind === 'continue' || kept.length === 0) return
        const again = startedAs({ ...record, epoch: record.epoch + 1 })
        return this.#append(
          subject,
          { type: 'run.snapshot', run, ...again, next: record.next, output: kept, changes: true },
          true,
        )
      }
      case 'requested': {
        const { next } = record
        return this.#append(subject, { type: 'run.requested', run, stream: `stream_${n}`, step: n, next, model: 'm' })
      }
      case 'handed':
        return this.#append(subject, { type: 'run.handed', run, to: `agent_${n}` })
      case 'delegate':
      case 'late':
      case 'call': {
        // A late call is one of a replaced driver.
        const epoch = step.kind === 'late' ? record.epoch - 1 : record.epoch
        if (epoch === 0) return
        const open = step.kind === 'call' ? this.#openInput(record.output) : undefined
        const call = open ?? `call_${n}`
        const asks = step.kind === 'delegate' || (step.kind === 'late' && step.pick % 2 === 0)
        this.#append(`tool.${call}`, {
          type: 'tool.called',
          run,
          call,
          name: 't',
          input: { n },
          where: 'client',
          approval: false,
          attempt: 1,
          until: 0,
          step: 0,
          epoch,
          ...(this.#isOld ? {} : { next: record.next }),
          ...(asks ? { child: { run: `child_${n}`, agent: 'a' } } : {}),
        })
        return step.kind === 'delegate' ? this.apply({ kind: 'snapshot', pick: 1 }) : undefined
      }
      case 'result':
      case 'claim':
      case 'again':
      case 'ask':
      case 'answer':
      case 'deny': {
        const call = [...record.calls.values()].find((open) => open.result === undefined)
        if (call === undefined) return
        const about = { run, call: call.id }
        const lane = `tool.${call.id}`
        if (step.kind === 'claim') {
          return this.#append(lane, { type: 'tool.claimed', ...about, connection: 'c', until: n })
        }
        if (step.kind === 'ask') {
          const schema = { type: 'object' as const, properties: {} }
          return this.#append(lane, {
            type: 'tool.asked',
            ...about,
            question: `q_${n}`,
            message: 'q',
            schema,
            until: n,
          })
        }
        if (step.kind === 'answer') {
          const question = openQuestion(call)?.question
          if (question === undefined) return
          return this.#append(lane, {
            type: 'tool.answered',
            ...about,
            question,
            action: 'accept',
            content: { n },
            by: 'u',
          })
        }
        if (step.kind === 'again') return this.#append(lane, calledAgain(call))
        if (step.kind === 'result') return this.#append(lane, { type: 'tool.result', ...about, output: n, by: 'c' })
        this.#append(lane, { type: 'tool.decided', ...about, decision: 'deny', by: 'u' })
        return this.#append(lane, { type: 'tool.result', ...about, error: 'denied', by: 'server' })
      }
      case 'cancel':
        return this.#end(run, 'cancelled', step.pick)
      case 'complete': {
        this.#endChildren(run)
        const output = toParts(record.output)
        const event: RunEnded = {
          type: 'run.ended',
          run,
          ...startedAs(record),
          reason: 'completed',
          usage: { inputTokens: 1, outputTokens: n },
          next: record.next,
          output,
        }
        return this.#append(subject, event, true)
      }
      default:
    }
  }

  #message(
    n: number,
    policy: 'queue' | 'reject' | 'interrupt' | 'steer',
    run: string,
    after?: number,
    parent?: string | null,
  ): void {
    this.#append(`in.m_${n}`, {
      type: 'message',
      id: `m_${n}`,
      role: 'user',
      author: 'u',
      content: [{ type: 'text', text: `${n}` }],
      policy,
      title: `first words of ${n}`,
      run,
      ...(after === undefined ? {} : { after }),
      ...(parent === undefined ? {} : { parent }),
    })
  }

  #end(run: string, reason: 'cancelled' | 'superseded', pick: number): void {
    const record = findRun(this.state, run)
    if (record === undefined || record.phase === 'ended') return
    this.#endChildren(run)
    const seen = pick % 3 === 0 && record.next > 0 ? { seen: { run, index: (pick % record.next) - 1 } } : {}
    this.#append(`run.${run}`, {
      type: 'run.ended',
      run,
      ...startedAs(record),
      reason,
      by: 'u',
      usage: { inputTokens: 0, outputTokens: 0 },
      next: record.next,
      ...seen,
    })
  }

  /** As everybody does who ends a run. */
  #endChildren(run: string): void {
    for (const child of openChildren(this.state, run)) this.#end(child.id, 'cancelled', 1)
  }

  /** A call whose arguments the model has begun. */
  #openInput(output: RunOutput | undefined): string | undefined {
    const parts = toParts(output)
    const called = new Set(parts.flatMap((part) => (part.type === 'tool' ? [part.call] : [])))
    return parts.flatMap((part) => (part.type === 'input' && !called.has(part.call) ? [part.call] : []))[0]
  }

  #append(subject: string, event: Event, rollup = false): void {
    const seq = (this.entries.at(-1)?.seq ?? 0) + 1 + (this.#count % 3)
    const entry = new Entry({
      seq,
      prev: this.#last.get(subject) ?? 0,
      subject,
      time: seq,
      rollup,
      json: JSON.stringify(event),
    })
    this.#last.set(subject, seq)
    this.entries.push(entry)
    this.state = applyEntry(this.state, entry)
  }
}
