// The conversation that a request carries to a new session: a short one as a whole, a long one from one of its newest
// user messages on.
import type { ContextMessage, Event } from '@parley/protocol'
import { expect, it } from 'vitest'
import { applyEntries } from '../../session/state/apply-entry.ts'
import { EMPTY_SESSION, findRun } from '../../session/state/session-state.ts'
import { conversationUpTo, type FoundConversation } from './conversation.ts'

/** Turns of a user message, an answer with a tool call, and its result with the next message. */
function talk(turns: number, words: string): FoundConversation {
  const events: Event[] = []
  for (let at = 0; at < turns; at += 1) {
    const [id, run] = [`m${at}`, `r${at}`]
    const history: ContextMessage[] = at === 0 ? [{ role: 'system', text: 'Be brief.' }] : [result(at - 1)]
    const content = [{ type: 'text' as const, text: `${at}? ${words}` }]
    const about = { run, epoch: 1, model: 'demo', message: id }
    events.push(
      { type: 'message', id, role: 'user', author: 'me', content, policy: 'queue', run, context: { history } },
      { type: 'run.started', ...about, mode: 'new', next: 0 },
      { type: 'run.output', run, index: 0, kind: 'text', text: `${at}!` },
      {
        type: 'tool.called',
        run,
        call: `c${at}`,
        name: 'f',
        input: {},
        where: 'client',
        approval: false,
        attempt: 1,
        until: 0,
        step: 0,
      },
      { type: 'run.ended', run, reason: 'completed', usage: { inputTokens: 0, outputTokens: 0 }, next: 1 },
    )
  }
  const state = applyEntries(
    EMPTY_SESSION,
    events.map((event, at) => ({ seq: at + 1, time: 0, event })),
  )
  const record = findRun(state, `r${turns - 1}`)
  if (record === undefined) throw new Error('run not found')
  return { state, record, isCut: false }
}

function result(turn: number): ContextMessage {
  return { role: 'tool', call: `c${turn}`, output: `${turn}.` }
}

it('a short conversation is complete', () => {
  expect(conversationUpTo(talk(2, 'a'))).toEqual([
    { role: 'system', text: 'Be brief.' },
    { role: 'user', content: [{ type: 'text', text: '0? a' }] },
    { role: 'assistant', text: '0!', calls: [{ call: 'c0', name: 'f', input: {} }] },
    result(0),
    { role: 'user', content: [{ type: 'text', text: '1? a' }] },
    { role: 'assistant', text: '1!', calls: [{ call: 'c1', name: 'f', input: {} }] },
  ])
})

it('a conversation with many messages, or much text, keeps the newest ones and all system messages', () => {
  for (const found of [talk(900, 'a'), talk(40, 'x'.repeat(1_000_000))]) {
    const conversation = conversationUpTo(found)
    expect(conversation.length).toBeLessThanOrEqual(513)
    expect(JSON.stringify(conversation).length).toBeLessThan(17 * 1024 * 1024)
    expect(conversation.slice(0, 2).map(({ role }) => role)).toEqual(['system', 'user'])
    expect(conversation.at(-1)).toMatchObject({ role: 'assistant' })
    expect(conversation.length).toBeGreaterThan(10)
  }
})

it('a conversation that must not be truncated is complete, or an error', () => {
  expect(conversationUpTo(talk(2, 'a'), true)).toEqual(conversationUpTo(talk(2, 'a')))
  expect(() => conversationUpTo(talk(900, 'a'), true)).toThrow('without truncation')
})
