// Logs of one answer for the tests of chunks: the events of a run with texts, calls, approvals, steering and restarts.
import { applyEntry, type Event, newSession, type SessionView } from '@parley/client'
import fc from 'fast-check'

export const RUN = 'run_1'

/** The views after each entry of a log. */
export function viewsOf(events: readonly Event[]): readonly SessionView[] {
  const views: SessionView[] = [newSession('trip')]
  for (const [at, event] of events.entries()) {
    const before = views.at(-1) as SessionView
    views.push(applyEntry(before, { cursor: `e.${at + 1}`, time: at, event }))
  }
  return views
}

export function started(mode: 'new' | 'restart' | 'continue', next: number, epoch = 1): Event {
  return { type: 'run.started', run: RUN, epoch, mode, model: 'demo', message: 'm1', next }
}

export function text(index: number, words: string, kind: 'text' | 'reasoning' = 'text'): Event {
  return { type: 'run.output', run: RUN, index, kind, text: words }
}

export const MESSAGE: Event = {
  type: 'message',
  id: 'm1',
  role: 'user',
  author: 'ada',
  content: [{ type: 'text', text: 'Hello' }],
  policy: 'queue',
  run: RUN,
}

export function called(call: string, fields: Partial<Extract<Event, { type: 'tool.called' }>> = {}): Event {
  const base = { run: RUN, call, name: 'look', input: { at: call }, where: 'server', approval: false } as const
  return { type: 'tool.called', ...base, attempt: 1, until: 9e12, step: 0, ...fields }
}

export function ended(next: number, reason: 'completed' | 'cancelled' | 'superseded' | 'failed' = 'completed'): Event {
  const error = reason === 'failed' ? { error: { code: 'provider_error' as const, message: 'No answer.' } } : {}
  return { type: 'run.ended', run: RUN, reason, next, usage: { inputTokens: 1, outputTokens: next }, ...error }
}

type OutputPart = NonNullable<Extract<Event, { type: 'run.snapshot' }>['output']>[number]

function outputOf(index: number, word: string): Extract<Event, { type: 'run.output' }> {
  const base = { type: 'run.output', run: RUN, index, text: '' } as const
  if (word.startsWith('d:')) return { ...base, kind: 'data', name: 'weather', id: word, data: { index } }
  if (word.startsWith('s:')) return { ...base, kind: 'source', url: 'https://example.com', title: 'Example' }
  if (word.startsWith('f:')) return { ...base, kind: 'file', mediaType: 'image/png', url: 'https://example.com/a.png' }
  return { ...base, kind: word.startsWith('r:') ? 'reasoning' : 'text', text: word }
}

type Step = { readonly words: readonly string[]; readonly calls: readonly ('ok' | 'bad' | 'deny' | 'approve')[] }

const step: fc.Arbitrary<Step> = fc.record({
  words: fc.array(fc.constantFrom('a', 'b ', '\n', 'é', 'r:x', 'd:1', 'd:2', 's:', 'f:'), { maxLength: 5 }),
  calls: fc.array(fc.constantFrom('ok' as const, 'bad' as const, 'deny' as const, 'approve' as const), {
    maxLength: 2,
  }),
})

/** Whole logs, some with a driver that was replaced, and every kind of end. */
export const anyLog: fc.Arbitrary<readonly Event[]> = fc
  .record({
    steps: fc.array(step, { minLength: 1, maxLength: 4 }),
    reason: fc.constantFrom('completed' as const, 'cancelled' as const, 'superseded' as const, 'failed' as const),
    restart: fc.option(fc.nat(3)),
    cut: fc.option(fc.nat(40)),
  })
  .map(({ steps, reason, restart, cut }) => {
    const events: Event[] = [MESSAGE, started('new', 0)]
    let index = 0
    const output: OutputPart[] = []
    for (const [at, { words, calls }] of steps.entries()) {
      for (const isRetry of restart === at ? [true, false] : [false]) {
        for (const word of words) {
          const shown = isRetry && !/^[dsf]:/.test(word) ? `${word}!` : word
          const event = outputOf(index, shown)
          events.push(event)
          const { type: _, run: __, kind, ...fields } = event
          if (!isRetry) output.push({ type: kind, lengths: [event.text.length], ...fields } as OutputPart)
          index += 1
        }
        for (const [n] of calls.entries()) {
          for (const words of ['{"at":', '1}']) {
            const call = `c${at}_${n}${isRetry ? '_lost' : ''}`
            events.push({ type: 'run.output', run: RUN, index, kind: 'input', call, name: 'look', text: words })
            index += 1
          }
        }
        if (!isRetry) continue
        // The next driver keeps the earlier steps.
        events.push(started('restart', index, 2))
        events.push({ type: 'run.snapshot', run: RUN, epoch: 2, next: index, output: [...output] })
      }
      for (const [n, kind] of calls.entries()) {
        const call = `c${at}_${n}`
        output.push({ type: 'tool', call, name: 'look' })
        events.push(called(call, { step: at, approval: kind === 'deny' || kind === 'approve' }))
      }
      for (const [n, kind] of calls.entries()) {
        const call = `c${at}_${n}`
        if (kind === 'deny' || kind === 'approve') {
          events.push({ type: 'tool.decided', run: RUN, call, decision: kind, by: 'ada' })
        }
        const result = kind === 'ok' || kind === 'approve' ? { output: { n } } : { error: 'It failed.' }
        events.push({ type: 'tool.result', run: RUN, call, by: 'n1', ...result })
      }
    }
    if (cut === null || 2 + cut >= events.length || reason === 'completed') return [...events, ended(index, reason)]
    // A new driver restores the earlier steps first.
    const isBeforeSnapshot = events[2 + cut]?.type === 'run.snapshot'
    const begun = events.slice(0, 2 + cut + (isBeforeSnapshot ? 1 : 0))
    const last = begun.findLast((event) => event.type === 'run.output' || event.type === 'run.snapshot')
    const next = last?.type === 'run.output' ? last.index + 1 : last?.type === 'run.snapshot' ? last.next : 0
    return [...begun, ended(next, reason)]
  })
