// The events of a response, whatever of its run was rolled up when somebody came, and however often it was begun anew: a number
// stands for one event, for every reader, and each has the same end.
import type { Event, OutputPart, RunEnded } from '@parley/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addOutput, addPart, fromParts, type RunOutput, toParts } from '../../session/state/run-output.ts'
import { ChatChunks } from './chat-chunks.ts'
import { type ResponseEvent, ResponseEvents } from './response-events.ts'
import type { ResponseHead } from './response-object.ts'
import { RunPieces } from './run-pieces.ts'

const RUN = 'run_1'
const HEAD: ResponseHead = {
  name: { session: 's', run: RUN },
  createdAt: 0,
  model: 'demo',
  background: true,
  isStored: true,
  previous: null,
  metadata: {},
  context: { tools: [] },
}

type Step =
  | { readonly do: 'say'; readonly kind: 'text' | 'reasoning'; readonly text: string }
  | { readonly do: 'call' | 'snapshot' | 'restart' | 'continue' }

const say = fc.record({
  do: fc.constant('say' as const),
  kind: fc.constantFrom('text' as const, 'text' as const, 'reasoning' as const),
  text: fc.string({ maxLength: 3 }),
})
const other = fc.record({ do: fc.constantFrom('call' as const, 'snapshot', 'restart', 'continue') })
const script: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof({ weight: 5, arbitrary: say }, { weight: 2, arbitrary: other }),
  { maxLength: 30 },
)

/** What is appended for a run, in the order of the log. */
function written(steps: readonly Step[], reason: RunEnded['reason']): readonly Event[] {
  const events: Event[] = []
  let [epoch, next, calls] = [1, 0, 0]
  let output: RunOutput | undefined
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
      const kept = parts.slice(0, parts.findLastIndex(({ type }) => type === 'tool') + 1)
      output = fromParts(kept)
      if (kept.length > 0) events.push({ type: 'run.snapshot', ...about(), next, output: kept, changes: true })
    }
  }
  const usage = { inputTokens: 1, outputTokens: next }
  events.push({ type: 'run.ended', ...about(), reason, usage, next, output: toParts(output) })
  return events
}

/** As somebody finds the log who comes when it has so many entries: what a roll-up holds is no more there. */
function found(events: readonly Event[]): readonly Event[] {
  const isRollUp = (event: Event): boolean => event.type === 'run.snapshot' || event.type === 'run.ended'
  const last = events.findLastIndex(isRollUp)
  return events.filter((event, at) => at >= last || event.type === 'tool.called')
}

/** As somebody is told of an entry who has all before it. */
function live(event: Event): readonly Event[] {
  if (event.type === 'run.snapshot' && event.changes !== true) return []
  if (event.type !== 'run.ended') return [event]
  const { output: _, ...rest } = event
  return [rest]
}

/** What a reader is sent who came at a time, and has the events up to a number. */
function read(events: readonly Event[], came: number, after: number): readonly ResponseEvent[] {
  const pieces = new RunPieces(RUN)
  const response = new ResponseEvents(HEAD, after)
  const said = [...response.created().events]
  for (const event of [...found(events.slice(0, came)), ...events.slice(came).flatMap(live)]) {
    for (const piece of pieces.take(event)) said.push(...structuredClone(response.take(piece).events))
  }
  return said
}

describe('the events of a response', () => {
  it('have numbers that stand for the same, whoever reads them, whenever, and from wherever', () => {
    fc.assert(
      fc.property(script, fc.constantFrom<RunEnded['reason']>('completed', 'cancelled', 'failed'), (steps, reason) => {
        const events = written(steps, reason)
        const known = new Map<number, ResponseEvent>()
        const last = read(events, events.length, -1).at(-1)
        const isSteady = !steps.some((step) => step.do === 'restart')
        for (let came = 0; came <= events.length; came += 1) {
          const whole = read(events, came, -1)
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
        // Whoever has some of it gets the rest, and nothing twice.
        for (const after of known.keys()) {
          const rest = read(events, events.length, after)
          expect(rest).toEqual(read(events, events.length, -1).filter((event) => event.sequence_number > after))
        }
      }),
      { numRuns: 300 },
    )
  })

  it('say once more what stands, beyond all numbers that were given, when the run was begun anew', () => {
    const events = written(
      [
        { do: 'say', kind: 'text', text: 'a' },
        { do: 'say', kind: 'text', text: 'b' },
        { do: 'restart' },
        { do: 'say', kind: 'text', text: 'c' },
      ],
      'completed',
    )
    const told = (came: number, after: number): readonly (readonly [string, number])[] =>
      read(events, came, after).map(({ type, sequence_number: number }) => [type.slice('response.'.length), number])
    const anew = [
      ['in_progress', 26],
      ['output_item.added', 27],
      ['content_part.added', 28],
      ['output_text.delta', 29],
      ['output_text.done', 30],
      ['content_part.done', 31],
      ['output_item.done', 32],
      ['completed', 33],
    ]
    const begun = [
      ['created', 0],
      ['in_progress', 1],
    ]
    const dropped = [
      ['output_item.added', 2],
      ['content_part.added', 3],
      ['output_text.delta', 4],
      ['output_text.delta', 5],
    ]
    expect(told(0, -1)).toEqual([...begun, ...dropped, ...anew])
    expect(told(events.length, -1)).toEqual([...begun, ...anew])
    expect(told(events.length, 4)).toEqual(anew)
  })
})

describe('the chunks of a chat completion', () => {
  const texts = (output: readonly OutputPart[]): string =>
    output.map((part) => (part.type === 'text' ? part.text : '')).join('')

  it('are the whole text, or break off with an error where it was begun anew and became another', () => {
    fc.assert(
      fc.property(script, (steps) => {
        const events = written(steps, 'completed')
        const ended = events.at(-1)
        const whole = ended?.type === 'run.ended' ? texts(ended.output ?? []) : ''
        const mayBreak = steps.some((step) => step.do === 'restart')
        for (let came = 0; came <= events.length; came += 1) {
          const pieces = new RunPieces(RUN)
          const chunks = new ChatChunks({ id: 'x', created: 0, model: 'demo' }, true)
          const all = [...found(events.slice(0, came)), ...events.slice(came).flatMap(live)].flatMap((event) =>
            pieces.take(event),
          )
          let text = ''
          let over: string | undefined
          for (const piece of all) {
            if (over !== undefined) break
            const step = chunks.take(piece)
            over = step.over
            for (const chunk of step.chunks as { choices?: { delta: { content?: string } }[] }[]) {
              text += chunk.choices?.[0]?.delta.content ?? ''
            }
          }
          if (over === 'broken') expect(mayBreak).toBe(true)
          else expect([over, text]).toEqual(['done', whole])
        }
      }),
      { numRuns: 300 },
    )
  })
})
