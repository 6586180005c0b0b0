// The chunks of an answer, as the AI SDK itself reads them, for logs of every kind and readers of every speed.
import type { Event, SessionView } from '@parley/client'
import * as ai7 from 'ai'
import * as ai6 from 'ai-6'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AnswerChunks } from './answer-chunks.ts'
import { anyLog, called, ended, MESSAGE, RUN, started, text, viewsOf } from './test/logs.ts'
import { toUIMessages } from './ui-messages.ts'

type Chunk = ai7.UIMessageChunk
type Reader = (chunks: readonly Chunk[], message?: ai7.UIMessage) => Promise<ai7.UIMessage | undefined>

const readBy6: Reader = (chunks, message) => read(ai6.readUIMessageStream as never, chunks, message)
const readBy7: Reader = (chunks, message) => read(ai7.readUIMessageStream, chunks, message)

/** The last state of the message that a version of `ai` makes of the chunks. */
async function read(
  by: typeof ai7.readUIMessageStream,
  chunks: readonly Chunk[],
  message?: ai7.UIMessage,
): Promise<ai7.UIMessage | undefined> {
  const stream = new ReadableStream<Chunk>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk)
      controller.close()
    },
  })
  let last = message
  const options = { stream, terminateOnError: true, ...(message === undefined ? {} : { message }) }
  for await (const state of by(options)) last = structuredClone(state)
  return last
}

/** The chunks of a reader that looks at some of the views, and starts another stream where one ends. */
function chunksOf(views: readonly SessionView[], looks: (at: number) => boolean = () => true): Chunk[] {
  const answer = new AnswerChunks(RUN, () => 'elsewhere')
  return views.flatMap((view, at) => (looks(at) || at === views.length - 1 ? answer.take(view).chunks : []))
}

function textsOf(message: ai7.UIMessage | undefined): string[] {
  return (message?.parts ?? []).flatMap((part) => (part.type === 'text' ? [part.text] : []))
}

function seenOf(message: ai7.UIMessage | undefined): unknown {
  return message?.parts.flatMap((part): unknown[] => {
    if (part.type === 'text' || part.type === 'reasoning') return [[part.type, part.text, part.state]]
    if (part.type === 'source-url' || part.type === 'file') return [[part.type, part.url]]
    if (part.type === 'data-weather') return [[part.type, part.id, part.data]]
    if (part.type !== 'dynamic-tool') return []
    return [[part.toolCallId, part.state, part.output, part.state === 'output-error' ? part.errorText : undefined]]
  })
}

function withoutError(chunks: readonly Chunk[]): Chunk[] {
  return chunks.filter(({ type }) => type !== 'error')
}

describe('the chunks of an answer', () => {
  it('become the same message for every reader, in ai 7', async () => {
    await fc.assert(
      fc.asyncProperty(anyLog, fc.array(fc.boolean(), { minLength: 60, maxLength: 60 }), async (events, looks) => {
        const views = viewsOf(events)
        const message = await readBy7(withoutError(chunksOf(views, (at) => looks[at] === true)))
        const [, whole] = toUIMessages(views.at(-1) as SessionView)
        expect(seenOf(message)).toEqual(seenOf(whole))
      }),
      { numRuns: 80 },
    )
  })

  it('become the same message in ai 6, unless a driver was replaced', async () => {
    await fc.assert(
      fc.asyncProperty(anyLog, fc.array(fc.boolean(), { minLength: 60, maxLength: 60 }), async (events, looks) => {
        fc.pre(!events.some((event) => event.type === 'run.started' && event.mode === 'restart'))
        const views = viewsOf(events)
        const message = await readBy6(withoutError(chunksOf(views, (at) => looks[at] === true)))
        const [, whole] = toUIMessages(views.at(-1) as SessionView)
        expect(seenOf(message)).toEqual(seenOf(whole))
      }),
      { numRuns: 50 },
    )
  })

  it('close everything that they open, at every end', () => {
    fc.assert(
      fc.property(anyLog, (events) => {
        const open = new Set<string>()
        const chunks = chunksOf(viewsOf(events))
        for (const chunk of chunks) {
          const { type } = chunk
          if (type === 'text-start' || type === 'reasoning-start') open.add(chunk.id)
          if (type === 'text-end' || type === 'reasoning-end') open.delete(chunk.id)
          if (type === 'tool-input-available') open.add(chunk.toolCallId)
          if (type.startsWith('tool-output')) open.delete((chunk as { toolCallId: string }).toolCallId)
        }
        expect([...open]).toEqual([])
        expect(chunks.filter(({ type }) => type === 'start')).toHaveLength(chunks.filter(isEnd).length)
        expect(isEnd(chunks.at(-1) as Chunk)).toBe(true)
      }),
    )
  })

  it('say nothing twice when the session starts over', () => {
    const events = [MESSAGE, started('new', 0), text(0, 'a'), text(1, 'b')]
    const views = viewsOf(events)
    // After `reset` the whole log arrives again, and grows.
    const again = viewsOf([...events, text(2, 'c'), ended(3)])
    const chunks = chunksOf([...views, ...again])
    expect(deltas(chunks)).toEqual(['a', 'b', 'c'])
    expect(chunks.some(({ type }) => type === 'reset-step')).toBe(false)
  })

  it('drop the unfinished step of a replaced driver, if it differs', () => {
    const before = [MESSAGE, started('new', 0), text(0, 'a'), text(1, 'b'), started('restart', 2, 2)]
    const same = chunksOf(viewsOf([...before, text(2, 'a'), text(3, 'b'), text(4, 'c'), ended(5)]))
    expect([deltas(same), same.some(({ type }) => type === 'reset-step')]).toEqual([['a', 'b', 'c'], false])
    const other = chunksOf(viewsOf([...before, text(2, 'a'), text(3, 'x'), ended(4)]))
    expect(deltas(other)).toEqual(['a', 'b', 'ax'])
    const shorter = chunksOf(viewsOf([...before, text(2, 'a'), ended(3, 'cancelled')]))
    expect(deltas(shorter)).toEqual(['a', 'b', 'a'])
  })

  it('end where the run waits for an approval, and continue in the same message', async () => {
    const asked = [MESSAGE, started('new', 0), text(0, 'Shall I?'), called('c1', { approval: true, next: 1 })]
    const decided: Event = { type: 'tool.decided', run: RUN, call: 'c1', decision: 'approve', by: 'ada' }
    const result: Event = { type: 'tool.result', run: RUN, call: 'c1', output: 'done', by: 'n1' }
    const views = viewsOf([...asked, decided, result, text(1, 'Yes.'), ended(2)])
    const answer = new AnswerChunks(RUN, () => 'elsewhere')
    const first = answer.take(views[asked.length] as SessionView)
    expect(first.phase).toBe('parked')
    expect(first.chunks.at(-1)).toEqual({ type: 'finish', finishReason: 'tool-calls' })
    for (const by of [readBy6, readBy7]) {
      const half = await by(first.chunks)
      expect(half?.parts.at(-1)).toMatchObject({ state: 'approval-requested', approval: { id: 'c1' } })
    }
    const rest = answer.take(views.at(-1) as SessionView)
    expect([rest.phase, rest.chunks[0]]).toMatchObject(['over', { type: 'start', messageId: RUN }])
    for (const by of [readBy6, readBy7]) {
      const whole = await by(rest.chunks, await by(first.chunks))
      expect([whole?.id, textsOf(whole)]).toEqual([RUN, ['Shall I?', 'Yes.']])
    }
  })

  it('mark calls that the chat must not run, and hand over those that it claimed', () => {
    let owner: 'unknown' | 'chat' = 'unknown'
    const answer = new AnswerChunks(RUN, () => owner)
    const views = viewsOf([MESSAGE, started('new', 0), called('c1', { where: 'client' })])
    expect(answer.take(views.at(-1) as SessionView).chunks.map(({ type }) => type)).toEqual(['start', 'start-step'])
    owner = 'chat'
    const { chunks, phase } = answer.take(views.at(-1) as SessionView)
    expect(chunks[0]).toMatchObject({ type: 'tool-input-available', providerExecuted: false })
    expect(phase).toBe('parked')
    const elsewhere = new AnswerChunks(RUN, () => 'elsewhere')
    expect(elsewhere.take(views.at(-1) as SessionView).chunks[2]).toMatchObject({ providerExecuted: true })
  })

  it('name the end: stop, length, interrupted, or an error', () => {
    const start = [MESSAGE, started('new', 0)]
    const last = (event: Event): Chunk | undefined => chunksOf(viewsOf([...start, event])).at(-1)
    expect(last(ended(0))).toMatchObject({ finishReason: 'stop', messageMetadata: { usage: { inputTokens: 1 } } })
    expect(last({ ...ended(0), cut: true } as Event)).toMatchObject({ finishReason: 'length' })
    for (const reason of ['cancelled', 'superseded'] as const) {
      expect(last(ended(0, reason))).toMatchObject({ type: 'finish', finishReason: 'interrupted' })
    }
    expect(last(ended(0, 'failed'))).toEqual({ type: 'error', errorText: 'No answer.' })
  })
})

function isEnd({ type }: Chunk): boolean {
  return type === 'finish' || type === 'error'
}

function deltas(chunks: readonly Chunk[]): string[] {
  return chunks.flatMap((chunk) => (chunk.type === 'text-delta' ? [chunk.delta] : []))
}
