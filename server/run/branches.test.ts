// Branches: what an edited or repeated message has its model told, and what becomes of commands that race for a branch.
import type { LanguageModelV3Prompt } from '@ai-sdk/provider'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { type Folded, foldAll } from '../session/state/apply-entry.ts'
import { pathTo } from '../session/state/message-tree.ts'
import { EMPTY_SESSION } from '../session/state/session-state.ts'
import { buildPrompt } from './prompt.ts'
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

/** What was said, without who said it. */
function words(prompt: LanguageModelV3Prompt): string[] {
  return prompt.flatMap(({ content }) =>
    typeof content === 'string' ? [content] : content.map((part) => (part.type === 'text' ? part.text : part.type)),
  )
}

/** Sends, has the model answer with one word, and tells what the model was told. */
async function said(h: EngineHarness, id: string, text: string, answer: string, more = {}): Promise<string[]> {
  const { run } = await h.send('s', text, { id, ...more })
  const call = await h.model.next()
  call.text(answer)
  call.finish()
  await h.event('s', 'run.ended', (event) => event.run === run)
  return words(call.options.prompt)
}

describe('a message with a parent', () => {
  it('is told to the model after that one’s answer, and nothing of other branches', async () => {
    const h = await start()
    await said(h, 'm1', 'one', 'ONE')
    await said(h, 'm2', 'two', 'TWO')
    await said(h, 'm3', 'three', 'THREE')
    // Edited; asked once more; gone on with; the first edited; and back in the oldest branch.
    expect(await said(h, 'e2', 'two!', 'TWO!', { parent: 'm1' })).toEqual(['one', 'ONE', 'two!'])
    expect(await said(h, 'r2', 'two!', 'TWO?', { parent: 'm1' })).toEqual(['one', 'ONE', 'two!'])
    expect(await said(h, 'n', 'next', 'NEXT')).toEqual(['one', 'ONE', 'two!', 'TWO?', 'next'])
    expect(await said(h, 'e1', 'uno', 'UNO', { parent: null })).toEqual(['uno'])
    const back = ['one', 'ONE', 'two', 'TWO', 'three', 'THREE', 'four']
    expect(await said(h, 'm4', 'four', 'FOUR', { parent: 'm3' })).toEqual(back)
  })

  it('is refused where the session has no such message, and then has done nothing', async () => {
    const h = await start()
    await said(h, 'm1', 'one', 'ONE')
    await h.send('other', 'theirs', { id: 'theirs' })
    expect(words((await h.model.next()).options.prompt)).toEqual(['theirs'])
    for (const parent of ['nobody', 'theirs', 'e1', 'meta']) {
      await expect(h.send('s', 'x', { id: 'e1', parent })).rejects.toMatchObject({ code: 'parent_not_found' })
    }
    expect((await h.entries('s')).filter(({ type }) => type === 'message')).toHaveLength(1)
    expect(await said(h, 'e1', 'x', 'X', { parent: null })).toEqual(['x'])
  })

  it('takes effect once; the same id with another parent is another command', async () => {
    const h = await start()
    await said(h, 'm1', 'one', 'ONE')
    await said(h, 'e1', 'uno', 'UNO', { parent: null })
    await expect(h.send('s', 'uno', { id: 'e1', parent: null })).resolves.toMatchObject({ duplicate: true })
    for (const parent of [undefined, 'm1']) {
      const more = parent === undefined ? {} : { parent }
      await expect(h.send('s', 'uno', { id: 'e1', ...more })).rejects.toMatchObject({ code: 'command_id_reused' })
    }
  })

  it('stands beside another one, when two devices edit the same message at once', async () => {
    const h = await start()
    await said(h, 'm1', 'one', 'ONE')
    await said(h, 'm2', 'two', 'TWO')
    const edit = { type: 'send' as const, session: 's', parent: 'm1' }
    await Promise.all([
      h.send('s', 'zwei', { id: 'e1', parent: 'm1' }),
      h.service.send({ ...edit, id: 'e2', content: 'deux' }, OTHER),
    ])
    for (const text of ['zwei', 'deux']) {
      const call = await h.model.next()
      expect(words(call.options.prompt)).toEqual(['one', 'ONE', text])
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
  it('interrupts it in whatever branch it is, and its model is not told of that branch', async () => {
    const h = await start()
    await said(h, 'm1', 'one', 'ONE')
    const { run = '' } = await h.send('s', 'two', { id: 'm2' })
    const call = await h.model.next()
    call.text('TW')
    await h.event('s', 'run.output', (event) => event.run === run)
    expect(await said(h, 'e2', 'two!', 'TWO!', { parent: 'm1', policy: 'interrupt' })).toEqual(['one', 'ONE', 'two!'])
    await call.aborted
    const ended = await h.event('s', 'run.ended', (event) => event.run === run)
    expect(ended).toMatchObject({ reason: 'superseded', command: 'e2' })
  })

  it('steers it where it stands after that one, and waits for its own turn elsewhere', async () => {
    const h = await start()
    await said(h, 'm1', 'one', 'ONE')
    const { run = '' } = await h.send('s', 'two', { id: 'm2' })
    const call = await h.model.next()
    await expect(h.send('s', 'b', { id: 's1', parent: 'm2', policy: 'steer' })).resolves.toMatchObject({ run })
    await expect(h.send('s', 'c', { id: 's2', parent: 's1', policy: 'steer' })).resolves.toMatchObject({ run })
    const other = await h.send('s', 'd', { id: 's3', parent: 'm1', policy: 'steer' })
    expect(other.run).not.toBe(run)
    call.finish()
    const steered = await h.model.next()
    expect(words(steered.options.prompt)).toEqual(['one', 'ONE', 'two', 'b', 'c'])
    steered.text('TWO')
    steered.finish()
    const apart = await h.model.next()
    expect(words(apart.options.prompt)).toEqual(['one', 'ONE', 'd'])
    apart.finish()
    // What it took stands in its answer, and not once more in the conversation that goes on from it.
    expect(await said(h, 'n', 'next', 'N', { parent: 's2' })).toEqual(['one', 'ONE', 'two', 'b', 'c', 'TWO', 'next'])
  })
})

it('has its model told the path of the tree, whatever tree it is', () => {
  const usage = { inputTokens: 0, outputTokens: 0 }
  const parents = fc.array(fc.oneof(fc.constant(undefined), fc.constant(null), fc.nat(30)), {
    minLength: 1,
    maxLength: 20,
  })
  fc.assert(
    fc.property(parents, (told) => {
      const expected = new Map<string, string[]>()
      const entries = told.flatMap((place, at): Folded[] => {
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
      const state = foldAll(EMPTY_SESSION, entries)
      for (const run of state.ended.values()) {
        const prompt = buildPrompt(state, run, { maxChars: 100_000, keepReasoning: false })
        expect(words(prompt)).toEqual(expected.get(run.message))
        expect(pathTo(state.messages, run.message)).toHaveLength(words(prompt).length / 2)
      }
    }),
  )
})
