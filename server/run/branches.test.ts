// Branches: the prompt of an edited or repeated message, and commands that race for a branch.
import type { LanguageModelV3Prompt } from '@ai-sdk/provider'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { applyEntries, type LoggedEvent } from '../session/state/apply-entry.ts'
import { pathTo } from '../session/state/message-tree.ts'
import { EMPTY_SESSION } from '../session/state/session-state.ts'
import { conversationOf } from './conversation.ts'
import { EngineHarness, OTHER } from './test/engine-harness.ts'

const open: EngineHarness[] = []
async function start(): Promise<EngineHarness> {
  const harness = await EngineHarness.start()
  open.push(harness)
  return harness
}
afterEach(async () => {
  for (const harness of open.splice(0)) await harness.dispose()
})

/** The texts of a prompt, without their roles. */
function textsOf(prompt: LanguageModelV3Prompt): string[] {
  return prompt.flatMap(({ content }) =>
    typeof content === 'string' ? [content] : content.map((part) => (part.type === 'text' ? part.text : part.type)),
  )
}

/** Sends a message and answers it with one word. @returns the prompt */
async function sendAndAnswer(h: EngineHarness, id: string, text: string, answer: string, more = {}): Promise<string[]> {
  const { run } = await h.send('s', text, { id, ...more })
  const call = await h.model.next()
  call.text(answer)
  call.finish()
  await h.event('s', 'run.ended', (event) => event.run === run)
  return textsOf(call.options.prompt)
}

describe('a message with a parent', () => {
  it('follows its parent’s answer in the prompt, without other branches', async () => {
    const h = await start()
    await sendAndAnswer(h, 'm1', 'one', 'ONE')
    await sendAndAnswer(h, 'm2', 'two', 'TWO')
    await sendAndAnswer(h, 'm3', 'three', 'THREE')
    // Edit, repeat, continue, edit the first message, and return to the oldest branch.
    expect(await sendAndAnswer(h, 'e2', 'two!', 'TWO!', { parent: 'm1' })).toEqual(['one', 'ONE', 'two!'])
    expect(await sendAndAnswer(h, 'r2', 'two!', 'TWO?', { parent: 'm1' })).toEqual(['one', 'ONE', 'two!'])
    expect(await sendAndAnswer(h, 'n', 'next', 'NEXT')).toEqual(['one', 'ONE', 'two!', 'TWO?', 'next'])
    expect(await sendAndAnswer(h, 'e1', 'uno', 'UNO', { parent: null })).toEqual(['uno'])
    const back = ['one', 'ONE', 'two', 'TWO', 'three', 'THREE', 'four']
    expect(await sendAndAnswer(h, 'm4', 'four', 'FOUR', { parent: 'm3' })).toEqual(back)
  })

  it('is refused without effect if the session has no such message', async () => {
    const h = await start()
    await sendAndAnswer(h, 'm1', 'one', 'ONE')
    await h.send('other', 'theirs', { id: 'theirs' })
    expect(textsOf((await h.model.next()).options.prompt)).toEqual(['theirs'])
    for (const parent of ['nobody', 'theirs', 'e1', 'meta']) {
      await expect(h.send('s', 'x', { id: 'e1', parent })).rejects.toMatchObject({ code: 'parent_not_found' })
    }
    expect((await h.entries('s')).filter(({ type }) => type === 'message')).toHaveLength(1)
    expect(await sendAndAnswer(h, 'e1', 'x', 'X', { parent: null })).toEqual(['x'])
  })

  it('takes effect once, and the same id with another parent is a conflict', async () => {
    const h = await start()
    await sendAndAnswer(h, 'm1', 'one', 'ONE')
    await sendAndAnswer(h, 'e1', 'uno', 'UNO', { parent: null })
    await expect(h.send('s', 'uno', { id: 'e1', parent: null })).resolves.toMatchObject({ duplicate: true })
    for (const parent of [undefined, 'm1']) {
      const more = parent === undefined ? {} : { parent }
      await expect(h.send('s', 'uno', { id: 'e1', ...more })).rejects.toMatchObject({ code: 'command_id_reused' })
    }
  })

  it('coexists with another version if two devices edit the same message at once', async () => {
    const h = await start()
    await sendAndAnswer(h, 'm1', 'one', 'ONE')
    await sendAndAnswer(h, 'm2', 'two', 'TWO')
    const edit = { type: 'send' as const, session: 's', parent: 'm1' }
    await Promise.all([
      h.send('s', 'zwei', { id: 'e1', parent: 'm1' }),
      h.service.send({ ...edit, id: 'e2', content: 'deux' }, OTHER),
    ])
    for (const text of ['zwei', 'deux']) {
      const call = await h.model.next()
      expect(textsOf(call.options.prompt)).toEqual(['one', 'ONE', text])
      call.finish()
    }
    const session = await h.watch('s')
    expect(session.state.messages.map(({ event }) => [event.id, event.parent])).toEqual([
      ['m1', undefined],
      ['m2', undefined],
      ['e1', 'm1'],
      ['e2', 'm1'],
    ])
  })
})

describe('a message with a parent, while a run is active,', () => {
  it('interrupts it in any branch, and its prompt leaves out that branch', async () => {
    const h = await start()
    await sendAndAnswer(h, 'm1', 'one', 'ONE')
    const { run = '' } = await h.send('s', 'two', { id: 'm2' })
    const call = await h.model.next()
    call.text('TW')
    await h.event('s', 'run.output', (event) => event.run === run)
    expect(await sendAndAnswer(h, 'e2', 'two!', 'TWO!', { parent: 'm1', policy: 'interrupt' })).toEqual([
      'one',
      'ONE',
      'two!',
    ])
    await call.aborted
    const ended = await h.event('s', 'run.ended', (event) => event.run === run)
    expect(ended).toMatchObject({ reason: 'superseded', command: 'e2' })
  })

  it('steers it on the same branch, and queues on another', async () => {
    const h = await start()
    await sendAndAnswer(h, 'm1', 'one', 'ONE')
    const { run = '' } = await h.send('s', 'two', { id: 'm2' })
    const call = await h.model.next()
    await expect(h.send('s', 'b', { id: 's1', parent: 'm2', policy: 'steer' })).resolves.toMatchObject({ run })
    await expect(h.send('s', 'c', { id: 's2', parent: 's1', policy: 'steer' })).resolves.toMatchObject({ run })
    const other = await h.send('s', 'd', { id: 's3', parent: 'm1', policy: 'steer' })
    expect(other.run).not.toBe(run)
    call.finish()
    const steered = await h.model.next()
    expect(textsOf(steered.options.prompt)).toEqual(['one', 'ONE', 'two', 'b', 'c'])
    steered.text('TWO')
    steered.finish()
    const apart = await h.model.next()
    expect(textsOf(apart.options.prompt)).toEqual(['one', 'ONE', 'd'])
    apart.finish()
    // A steering message is part of the answer that took it, and is not repeated in the conversation after it.
    expect(await sendAndAnswer(h, 'n', 'next', 'N', { parent: 's2' })).toEqual([
      'one',
      'ONE',
      'two',
      'b',
      'c',
      'TWO',
      'next',
    ])
  })
})

it('has the path through the tree as its prompt, for any tree', () => {
  const usage = { inputTokens: 0, outputTokens: 0 }
  const parents = fc.array(fc.oneof(fc.constant(undefined), fc.constant(null), fc.nat(30)), {
    minLength: 1,
    maxLength: 20,
  })
  fc.assert(
    fc.property(parents, (script) => {
      const expected = new Map<string, string[]>()
      const entries = script.flatMap((place, at): LoggedEvent[] => {
        const parent = place === undefined ? undefined : place === null || at === 0 ? null : `m${place % at}`
        const before = parent === undefined ? `m${at - 1}` : parent
        expected.set(`m${at}`, [...(expected.get(before ?? '') ?? []), `q${at}`, `a${at}`])
        const run = `r${at}`
        const content = [{ type: 'text' as const, text: `q${at}` }]
        const output = [{ type: 'text' as const, text: `a${at}`, index: 0, lengths: [2] }]
        const stands = parent === undefined ? {} : { parent }
        return [
          {
            seq: 2 * at + 1,
            time: 0,
            event: {
              type: 'message',
              id: `m${at}`,
              role: 'user',
              author: 'a',
              content,
              policy: 'queue',
              run,
              ...stands,
            },
          },
          { seq: 2 * at + 2, time: 0, event: { type: 'run.ended', run, reason: 'completed', usage, next: 1, output } },
        ]
      })
      const state = applyEntries(EMPTY_SESSION, entries)
      for (const run of state.ended.values()) {
        const { turns } = conversationOf(state, run, { keepReasoning: false, model: 'm' })
        const prompt = turns.flatMap((turn) => turn.messages)
        expect(textsOf(prompt)).toEqual(expected.get(run.message))
        expect(pathTo(state.messages, run.message)).toHaveLength(textsOf(prompt).length / 2)
      }
    }),
  )
})
