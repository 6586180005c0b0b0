// The events of a response with any compaction of the log and any number of restarts: every sequence number means the
// same event for every reader, and all readers get the same end.
import type { Event, RunEnded, RunOutput } from '@parley/protocol'
import { RunPieces } from '@parley/protocol/run-pieces'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { textOf } from '../../session/run-report.ts'
import {
  addEvent,
  addOutput,
  addPart,
  completeParts,
  fromParts,
  type RunOutput as Output,
  toParts,
} from '../../session/state/run-output.ts'
import { ChatChunks } from './chat-chunks.ts'
import { type ResponseEvent, ResponseEvents } from './response-events.ts'
import type { ResponseHead } from './response-object.ts'

const RUN = 'run_1'
const HEAD: ResponseHead = {
  name: { session: 's', run: RUN },
  createdAt: 0,
  model: 'demo',
  background: true,
  isStored: true,
  isConversation: false,
  previous: null,
  metadata: {},
  context: { tools: [] },
}

type Step =
  | { readonly do: 'say'; readonly kind: 'text' | 'reasoning'; readonly text: string }
  | { readonly do: 'call' | 'input' | 'data' | 'source' | 'snapshot' | 'restart' | 'continue' }

const say = fc.record({
  do: fc.constant('say' as const),
  kind: fc.constantFrom('text' as const, 'text' as const, 'reasoning' as const),
  text: fc.string({ maxLength: 3 }),
})
const other = fc.record({
  do: fc.constantFrom('call' as const, 'input', 'input', 'data', 'source', 'snapshot', 'restart', 'continue'),
})
const script: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof({ weight: 5, arbitrary: say }, { weight: 2, arbitrary: other }),
  { maxLength: 30 },
)

/** The events of a run, in the order of the log. */
function written(steps: readonly Step[], reason: RunEnded['reason']): readonly Event[] {
  const events: Event[] = []
  let [epoch, next, calls] = [1, 0, 0]
  let output: Output | undefined
  const about = () => ({ run: RUN, epoch, model: 'demo', message: 'm' })
  const start = (mode: 'new' | 'continue' | 'restart'): void => {
    events.push({ type: 'run.started', ...about(), mode, next })
  }
  start('new')
  for (const step of steps) {
    if (step.do === 'say') {
      events.push({ type: 'run.output', run: RUN, index: next, kind: step.kind, text: step.text })
      output = addOutput(output, step.kind, next, step.text)
      next += 1
    } else if (step.do === 'input' || step.do === 'data' || step.do === 'source') {
      const about = { type: 'run.output' as const, run: RUN, index: next, text: '' }
      const open = output?.part?.type === 'input'
      const event: RunOutput =
        step.do === 'input'
          ? { ...about, kind: 'input', call: `c${calls}`, ...(open ? {} : { name: 'f' }), text: '1' }
          : step.do === 'data'
            ? { ...about, kind: 'data', name: 'd', id: `d${next % 2}`, data: next }
            : { ...about, kind: 'source', url: `https://example.com/${next}` }
      events.push(event)
      output = addEvent(output, event)
      next += 1
    } else if (step.do === 'call') {
      const [call, name] = [`c${calls}`, 'f']
      const where = 'client' as const
      events.push({
        type: 'tool.called',
        run: RUN,
        call,
        name,
        input: { calls },
        where,
        approval: false,
        attempt: 1,
        until: 0,
        step: 0,
        next,
      })
      output = addPart(output, { type: 'tool', call, name })
      calls += 1
    } else if (step.do === 'snapshot') {
      events.push({ type: 'run.snapshot', ...about(), next, output: toParts(output) })
    } else {
      epoch += 1
      start(step.do)
      if (step.do === 'continue') continue
      const parts = toParts(output)
      const kept = completeParts(parts)
      output = fromParts(kept)
      if (kept.length > 0) events.push({ type: 'run.snapshot', ...about(), next, output: kept, changes: true })
    }
  }
  const usage = { inputTokens: 1, outputTokens: next }
  events.push({ type: 'run.ended', ...about(), reason, usage, next, output: toParts(output) })
  return events
}

/** The events that a late reader finds: those replaced by compaction are missing. */
function compacted(events: readonly Event[]): readonly Event[] {
  const replacesEarlier = (event: Event): boolean => event.type === 'run.snapshot' || event.type === 'run.ended'
  const last = events.findLastIndex(replacesEarlier)
  return events.filter((event, at) => at >= last || event.type === 'tool.called')
}

/** An event as a live reader gets it, who has all events before it. */
function live(event: Event): readonly Event[] {
  if (event.type === 'run.snapshot' && event.changes !== true) return []
  if (event.type !== 'run.ended') return [event]
  const { output: _, ...rest } = event
  return [rest]
}

/** The events for a reader that attaches after `attached` entries and has the events up to `after`. */
function read(events: readonly Event[], attached: number, after: number): readonly ResponseEvent[] {
  const pieces = new RunPieces(RUN)
  const response = new ResponseEvents(HEAD, after)
  const sent = [...response.created().events]
  for (const event of [...compacted(events.slice(0, attached)), ...events.slice(attached).flatMap(live)]) {
    for (const piece of pieces.take(event)) sent.push(...structuredClone(response.take(piece).events))
  }
  return sent
}

const empty = (kind: 'text' | 'reasoning'): Step => ({ do: 'say', kind, text: '' })
/** Data that is kept, between outputs that a restart drops. */
const DATA_AMONG_DROPPED: [readonly Step[], RunEnded['reason']][] = [
  [[{ do: 'data' }, empty('text'), { do: 'data' }, { do: 'restart' }], 'completed'],
  [
    [
      empty('text'),
      { do: 'data' },
      empty('reasoning'),
      empty('text'),
      empty('text'),
      { do: 'source' },
      { do: 'restart' },
    ],
    'completed',
  ],
]

describe('the events of a response', () => {
  it('have numbers with the same meaning for every reader, at any time and from any start', () => {
    fc.assert(
      fc.property(script, fc.constantFrom<RunEnded['reason']>('completed', 'cancelled', 'failed'), (steps, reason) => {
        const events = written(steps, reason)
        const known = new Map<number, ResponseEvent>()
        const last = read(events, events.length, -1).at(-1)
        const isSteady = !steps.some((step) => step.do === 'restart')
        for (let attached = 0; attached <= events.length; attached += 1) {
          const whole = read(events, attached, -1)
          expect(whole.at(-1)).toEqual(last)
          const numbers = whole.map((event) => event.sequence_number)
          expect(numbers.every((number, at) => at === 0 || number > (numbers[at - 1] ?? 0))).toBe(true)
          if (isSteady) expect(numbers).toEqual(numbers.map((_, at) => at))
          for (const event of whole) {
            const before = known.get(event.sequence_number)
            if (before === undefined) known.set(event.sequence_number, event)
            else expect(event).toEqual(before)
          }
        }
        // A reader that resumes gets exactly the rest.
        for (const after of known.keys()) {
          const rest = read(events, events.length, after)
          expect(rest).toEqual(read(events, events.length, -1).filter((event) => event.sequence_number > after))
        }
      }),
      { numRuns: 100, examples: DATA_AMONG_DROPPED },
    )
  })

  it('repeat the remaining output with new numbers after a restart', () => {
    const events = written(
      [
        { do: 'say', kind: 'text', text: 'a' },
        { do: 'say', kind: 'text', text: 'b' },
        { do: 'restart' },
        { do: 'say', kind: 'text', text: 'c' },
      ],
      'completed',
    )
    const numbersOf = (attached: number, after: number): readonly (readonly [string, number])[] =>
      read(events, attached, after).map(({ type, sequence_number: number }) => [type.slice('response.'.length), number])
    const restarted = [
      ['in_progress', 26],
      ['output_item.added', 27],
      ['content_part.added', 28],
      ['output_text.delta', 29],
      ['output_text.done', 30],
      ['content_part.done', 31],
      ['output_item.done', 32],
      ['completed', 33],
    ]
    const started = [
      ['created', 0],
      ['in_progress', 1],
    ]
    const dropped = [
      ['output_item.added', 2],
      ['content_part.added', 3],
      ['output_text.delta', 4],
      ['output_text.delta', 5],
    ]
    expect(numbersOf(0, -1)).toEqual([...started, ...dropped, ...restarted])
    expect(numbersOf(events.length, -1)).toEqual([...started, ...restarted])
    expect(numbersOf(events.length, 4)).toEqual(restarted)
  })
})

describe('the chunks of a chat completion', () => {
  it('are the whole text, or end with an error if a restart changed the text', () => {
    fc.assert(
      fc.property(script, (steps) => {
        const events = written(steps, 'completed')
        const ended = events.at(-1)
        const whole = ended?.type === 'run.ended' ? textOf(ended.output ?? []) : ''
        const mayFail = steps.some((step) => step.do === 'restart')
        for (let attached = 0; attached <= events.length; attached += 1) {
          const pieces = new RunPieces(RUN)
          const chunks = new ChatChunks({ id: 'x', created: 0, model: 'demo' }, true)
          const all = [...compacted(events.slice(0, attached)), ...events.slice(attached).flatMap(live)].flatMap(
            (event) => pieces.take(event),
          )
          let text = ''
          let end: string | undefined
          for (const piece of all) {
            if (end !== undefined) break
            const step = chunks.take(piece)
            end = step.end
            for (const chunk of step.chunks as { choices?: { delta: { content?: string } }[] }[]) {
              text += chunk.choices?.[0]?.delta.content ?? ''
            }
          }
          if (end === 'failed') expect(mayFail).toBe(true)
          else expect([end, text]).toEqual(['done', whole])
        }
      }),
      { numRuns: 300 },
    )
  })
})
