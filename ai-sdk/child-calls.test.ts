// The calls of child runs in the chunks of an answer: approvals, questions and tools of the chat, as the AI SDK reads them.
import type { CallView, Event, SessionView } from '@parley/client'
import * as ai7 from 'ai'
import * as ai6 from 'ai-6'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AnswerChunks, type CallOwner } from './answer-chunks.ts'
import { called, ended, MESSAGE, RUN, started, text, viewsOf } from './test/logs.ts'
import { toUIMessages } from './ui-messages.ts'

type Tool = ai7.DynamicToolUIPart
const VERSIONS = [
  ['ai 6', ai6 as unknown as typeof ai7],
  ['ai 7', ai7],
] as const

/** A chat: each stream continues the message of those before. */
class Chat {
  message: ai7.UIMessage | undefined
  phase = 'open'
  /** The message before the stream that is open, and the chunks of that. */
  #before: ai7.UIMessage | undefined
  #chunks: ai7.UIMessageChunk[] = []
  readonly #ai: typeof ai7
  readonly #answer: AnswerChunks

  constructor(ai: typeof ai7, ownerOf: (call: CallView) => CallOwner = () => 'elsewhere') {
    this.#ai = ai
    this.#answer = new AnswerChunks(RUN, ownerOf)
  }

  isCurrent(view: SessionView): boolean {
    return this.#answer.isCurrent(view)
  }

  async take(view: SessionView): Promise<void> {
    const { chunks, phase } = this.#answer.take(view)
    if (this.phase !== 'open') {
      this.#before = this.message
      this.#chunks = []
    }
    this.phase = phase
    this.#chunks.push(...chunks)
    const all = this.#chunks
    const stream = new ReadableStream<ai7.UIMessageChunk>({
      start(controller) {
        for (const chunk of all) controller.enqueue(chunk)
        controller.close()
      },
    })
    const before = this.#before === undefined ? {} : { message: structuredClone(this.#before) }
    for await (const state of this.#ai.readUIMessageStream({ stream, terminateOnError: true, ...before })) {
      this.message = structuredClone(state)
    }
  }

  tool(call: string): Tool | undefined {
    return this.message?.parts.find((part): part is Tool => part.type === 'dynamic-tool' && part.toolCallId === call)
  }

  approve(call: string): void {
    Object.assign(this.tool(call) ?? {}, { state: 'approval-responded', approval: { id: call, approved: true } })
  }

  /** Whether the AI SDK now sends the answers of the person. */
  get sends(): boolean {
    const messages = this.message === undefined ? [] : [this.message]
    const { lastAssistantMessageIsCompleteWithApprovalResponses, lastAssistantMessageIsCompleteWithToolCalls } =
      this.#ai
    return (
      lastAssistantMessageIsCompleteWithApprovalResponses({ messages }) ||
      lastAssistantMessageIsCompleteWithToolCalls({ messages })
    )
  }
}

const child = (name: string): string => `run_${name}`
const ask = (name: string, step = 0): Event => {
  return called(`ask_${name}`, { name: 'ask_helper', step, child: { run: child(name), agent: 'helper' } })
}
const begun = (name: string, parent = RUN): Event => ({
  ...(started('new', 0) as Extract<Event, { type: 'run.started' }>),
  run: child(name),
  message: `ask_${name}`,
  parent: { run: parent, call: `ask_${name}` },
  agent: 'helper',
})
const pays = (name: string, fields = {}): Event =>
  called(`pay_${name}`, { run: child(name), approval: true, ...fields })
const decided = (name: string, decision: 'approve' | 'deny' = 'approve'): Event => {
  return { type: 'tool.decided', run: child(name), call: `pay_${name}`, decision, by: 'ada' }
}
const paid = (name: string): Event => {
  return { type: 'tool.result', run: child(name), call: `pay_${name}`, output: name, by: 'n1' }
}
const over = (name: string): Event => ({ ...ended(0), run: child(name) }) as Event
const answered = (name: string): Event => {
  return { type: 'tool.result', run: RUN, call: `ask_${name}`, output: `Paid ${name}.`, by: 'n1' }
}
const WHOLE = (name: string): Event[] => [
  begun(name),
  pays(name),
  decided(name),
  paid(name),
  over(name),
  answered(name),
]
const START = [MESSAGE, started('new', 0), text(0, 'I ask.')]
const at = (events: readonly Event[]): SessionView => viewsOf(events).at(-1) as SessionView

/** The lists, mixed, each in its order. */
function mixed(lists: readonly (readonly Event[])[], picks: readonly number[]): Event[] {
  const left = lists.map((list) => [...list])
  const events: Event[] = []
  for (let n = 0; left.some((list) => list.length > 0); n += 1) {
    const full = left.filter((list) => list.length > 0)
    events.push(...(full[(picks[n] ?? 0) % full.length]?.splice(0, 1) ?? []))
  }
  return events
}

describe.each(VERSIONS)('calls of child runs, in %s', (_, ai) => {
  it('end the stream at an approval, which the chat sends, and continue the same answer', async () => {
    const chat = new Chat(ai)
    const asked = [...START, ask('a'), begun('a'), pays('a')]
    const view = at(asked)
    await chat.take(view)
    expect([chat.phase, chat.sends, chat.isCurrent(view)]).toEqual(['parked', false, true])
    expect(chat.tool('pay_a')).toMatchObject({
      state: 'approval-requested',
      input: { at: 'pay_a' },
      callProviderMetadata: { parley: { run: child('a'), agent: 'helper' } },
    })
    chat.approve('pay_a')
    expect(chat.sends).toBe(true)
    expect(chat.isCurrent(at([...asked, decided('a')]))).toBe(false)
    await chat.take(at([...asked, decided('a'), paid('a'), over('a'), answered('a'), text(1, 'Done.'), ended(2)]))
    expect([chat.phase, chat.sends]).toEqual(['over', false])
    expect([chat.tool('pay_a'), chat.tool('ask_a')]).toMatchObject([{ output: 'a' }, { output: 'Paid a.' }])
    expect(chat.message?.parts.filter(({ type }) => type === 'text')).toMatchObject([
      { text: 'I ask.', state: 'done' },
      { text: 'Done.', state: 'done' },
    ])
  })

  it('need no answer of another child that runs for long', async () => {
    const chat = new Chat(ai)
    const asked = [...START, ask('a'), ask('b'), begun('a'), begun('b'), pays('a')]
    await chat.take(at(asked))
    chat.approve('pay_a')
    expect([chat.phase, chat.sends]).toEqual(['parked', true])
    const next = [...asked, decided('a'), paid('a'), over('a'), answered('a')]
    await chat.take(at(next))
    expect([chat.phase, chat.sends]).toEqual(['open', false])
    await chat.take(at([...next, pays('b')]))
    expect([chat.phase, chat.sends]).toEqual(['parked', false])
    chat.approve('pay_b')
    expect(chat.sends).toBe(true)
  })

  it('come from all levels, and from tools of the chat, but only if people or clients take part', async () => {
    const nested = called('ask_c', { run: child('a'), name: 'ask_helper', child: { run: child('c'), agent: 'helper' } })
    const own = called('form', { run: child('c'), where: 'client', name: 'form' })
    const hidden = called('look', { run: child('c'), name: 'look' })
    const chat = new Chat(ai, ({ name }) => (name === 'form' ? 'chat' : 'elsewhere'))
    await chat.take(at([...START, ask('a'), begun('a'), nested, begun('c', child('a')), hidden, own]))
    expect(chat.phase).toBe('parked')
    expect([chat.tool('ask_c'), chat.tool('look')]).toEqual([undefined, undefined])
    expect(chat.tool('form')).toMatchObject({ state: 'input-available', providerExecuted: false })
    Object.assign(chat.tool('form') ?? {}, { state: 'output-available', output: 'big' })
    expect(chat.sends).toBe(true)
  })

  it('show the questions of their tools', async () => {
    const chat = new Chat(ai)
    const schema = { type: 'object' as const, properties: {} }
    const asked: Event = {
      ...{ type: 'tool.asked', run: child('a'), call: 'pay_a', question: 'q1', message: 'Which?', schema, until: 9e12 },
    } as Event
    await chat.take(at([...START, ask('a'), begun('a'), pays('a', { approval: false }), asked]))
    const question = chat.message?.parts.find(({ type }) => type === 'data-parley-question')
    expect(question).toMatchObject({ data: { call: 'pay_a', id: 'q1', message: 'Which?' } })
  })

  it('end as denied or failed with their run', async () => {
    const denied = new Chat(ai)
    const asked = [...START, ask('a'), begun('a'), pays('a')]
    await denied.take(at(asked))
    const refused: Event = {
      type: 'tool.result',
      run: child('a'),
      call: 'pay_a',
      error: 'It was denied.',
      by: 'server',
    }
    await denied.take(at([...asked, decided('a', 'deny'), refused]))
    expect(denied.tool('pay_a')?.state).toBe('output-denied')
    const cancelled = new Chat(ai)
    await cancelled.take(at(asked))
    await cancelled.take(at([...asked, { ...over('a'), reason: 'cancelled' } as Event, ended(1, 'cancelled')]))
    expect([cancelled.phase, cancelled.sends]).toEqual(['over', false])
    expect([cancelled.tool('pay_a')?.state, cancelled.tool('ask_a')?.state]).toEqual(['output-error', 'output-error'])
  })

  it('do not lose a text that continues after the call', async () => {
    const chat = new Chat(ai)
    const asked = [...START, ask('a'), text(1, 'Mean'), begun('a'), pays('a')]
    await chat.take(at(asked.slice(0, -1)))
    await chat.take(at(asked))
    await chat.take(at([...asked, text(2, 'while.'), decided('a'), paid('a'), over('a'), answered('a'), ended(3)]))
    const texts = chat.message?.parts.flatMap((part) => (part.type === 'text' ? [part.text] : []))
    expect([chat.phase, texts?.join('|')]).toEqual(['over', 'I ask.|Mean|while.'])
  })

  it('become the same message for every reader, whatever the order of the children', async () => {
    const order = fc.array(fc.nat(1), { minLength: 12, maxLength: 12 })
    const looks = fc.array(fc.boolean(), { minLength: 25, maxLength: 25 })
    await fc.assert(
      fc.asyncProperty(order, looks, async (picks, isLooked) => {
        const both = mixed([WHOLE('a'), WHOLE('b')], picks)
        const later = [text(1, 'More.'), ask('c', 1), ...WHOLE('c'), text(2, 'Done.'), ended(3)]
        const views = viewsOf([...START, ask('a'), ask('b'), ...both, ...later])
        const chat = new Chat(ai)
        for (const [n, view] of views.entries())
          if (isLooked[n] === true || n === views.length - 1) await chat.take(view)
        const [, whole] = toUIMessages(views.at(-1) as SessionView)
        const seen = (message: ai7.UIMessage | undefined): unknown =>
          message?.parts.map((part) => [
            part.type,
            'toolCallId' in part ? [part.toolCallId, part.state, part.output, part.callProviderMetadata] : 0,
            'text' in part ? part.text : '',
          ])
        expect(seen(chat.message)).toEqual(seen(whole))
      }),
      { numRuns: 40 },
    )
  })
})
