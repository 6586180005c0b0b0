// Questions of a running tool to a person, over real stores: the first valid answer counts, the time limit of the call stops
// meanwhile, and a tool that is executed again gets the answers that people gave.
import { type FormSchema, LIMITS, makeId } from '@parley/protocol'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Caller } from '../session/commands/caller.ts'
import { type Answer, defineTool, type ToolContext } from '../tool/define-tool.ts'
import { EngineHarness } from './test/engine-harness.ts'

const ADA: Caller = { connection: 'a', user: 'ada', role: 'owner' }
const BOB: Caller = { connection: 'b', user: 'bob', role: 'owner' }
const SIZE: FormSchema = {
  type: 'object',
  properties: { size: { type: 'string', enum: ['S', 'M'] } },
  required: ['size'],
}
let h: EngineHarness
afterEach(() => h.dispose())

type Execute = (context: ToolContext) => unknown

/** Starts a run whose model calls a tool that asks. */
async function run(execute: Execute, tool: { idempotent?: boolean; timeoutMs?: number } = {}, approvalMs?: number) {
  const order = defineTool({ name: 'order', inputSchema: {}, ...tool, execute: (_, context) => execute(context) })
  h = await EngineHarness.start({
    serverTools: [order],
    ...(approvalMs === undefined ? {} : { limits: { approvalMs } }),
  })
  await h.send('s', 'go')
  const model = await h.model.next()
  model.tool('order', {})
  model.finish('tool-calls')
}

const asked = (n = 1) => nth('tool.asked', n)
async function nth(type: 'tool.asked', n: number) {
  const seen = new Set<string>()
  return h.event('s', type, ({ question }) => seen.add(question).size === n)
}

type Given = { action: 'accept' | 'decline' | 'cancel'; content?: Record<string, string | number | boolean | string[]> }

async function answer(given: Given, by = ADA, id = makeId('a')) {
  const { call, question } = await asked()
  return h.service.answer({ type: 'tool.answer', id, session: 's', call, question, ...given }, by)
}

async function result() {
  const { output, error } = await h.event('s', 'tool.result')
  const last = await h.model.next()
  last.finish()
  expect(await h.event('s', 'run.ended')).toMatchObject({ reason: 'completed' })
  return output ?? error
}

describe('a question', () => {
  it('is answered once, with content that matches its form', async () => {
    await run(({ ask }) => ask({ message: 'Which size?', schema: SIZE }))
    expect(await asked()).toMatchObject({ message: 'Which size?', schema: SIZE })
    await expect(answer({ action: 'accept' })).rejects.toMatchObject({
      code: 'invalid_answer',
      message: 'The answer does not match the form: size is required.',
    })
    await expect(answer({ action: 'accept', content: { size: 'M', more: 1 } })).rejects.toMatchObject({
      code: 'invalid_answer',
    })
    const given: Given = { action: 'accept', content: { size: 'M' } }
    await answer(given, ADA, 'a1')
    expect(await answer(given, ADA, 'a1')).toMatchObject({ duplicate: true })
    await expect(answer({ action: 'decline' }, BOB)).rejects.toMatchObject({
      code: expect.stringMatching(/question_closed|call_ended/),
    })
    expect(await result()).toEqual({ action: 'accept', content: { size: 'M' }, by: 'ada' })
    expect(await h.event('s', 'tool.answered')).toMatchObject({ action: 'accept', by: 'ada', command: 'a1' })
    const { call } = await asked()
    const late = { type: 'tool.answer', id: 'x', session: 's', call, question: 'q_0', action: 'cancel' } as const
    await expect(h.service.answer(late, ADA)).rejects.toMatchObject({ code: 'question_not_found' })
  })

  it('may have a schema of zod, whose types the answer has', async () => {
    await run(async ({ ask }) => {
      const given = await ask({ message: 'How many?', schema: z.object({ count: z.int().min(1).max(5) }) })
      return given.action === 'accept' ? given.content.count + 1 : 0
    })
    await answer({ action: 'accept', content: { count: 2 } })
    expect(await result()).toBe(3)
  })

  it('stops the time limit of its call, and continues it afterwards', async () => {
    let answered = (): void => undefined
    const done = new Promise<void>((resolve) => {
      answered = resolve
    })
    const timeoutMs = 50
    await run(
      async ({ ask, signal }) => {
        await ask({ message: 'Sure?' })
        answered()
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      },
      { timeoutMs },
    )
    await asked()
    // A timer of the same length that starts after the question: it fires after the call would have ended.
    await new Promise((resolve) => setTimeout(resolve, 2 * timeoutMs))
    await answer({ action: 'accept' })
    await done
    expect(await result()).toBe(`The tool took longer than ${timeoutMs} ms and was stopped.`)
  })

  it('ends as cancelled by the server if nobody answers in time', async () => {
    await run(({ ask }) => ask({ message: 'Anybody?', timeoutMs: 1 }))
    expect(await result()).toEqual({ action: 'cancel', by: 'server' })
    expect(await h.event('s', 'tool.answered')).toMatchObject({ action: 'cancel', by: 'server' })
  })

  it('ends with its run', async () => {
    const failed: unknown[] = []
    await run(({ ask }) => ask({ message: 'Sure?' }).catch((error: unknown) => failed.push(error)))
    const { run: id, call, question } = await asked()
    await h.service.cancel({ type: 'cancel', id: 'c', session: 's', run: id }, ADA)
    const late = { type: 'tool.answer', id: 'x', session: 's', call, question, action: 'accept' } as const
    await expect(h.service.answer(late, ADA)).rejects.toMatchObject({ code: 'call_ended' })
    await h.close()
    expect(failed).toHaveLength(1)
  })

  it.each([
    ['a nested form', { type: 'object', properties: { a: { type: 'object' } } }, /is not a form: properties\.a/],
    [
      'a large form',
      { type: 'object', properties: { a: { type: 'string', enum: ['x'.repeat(LIMITS.formBytes)] } } },
      /larger/,
    ],
  ])('is an error of the tool with %s', async (_, schema, problem) => {
    await run(({ ask }) => ask({ message: 'Well?', schema: schema as FormSchema }))
    expect(await result()).toMatch(problem)
  })
})

it('asks one question after the other, and limits their number', async () => {
  await run(({ ask }) =>
    Promise.all([...Array(LIMITS.questions + 1).keys()].map((n) => ask({ message: `${n}?`, timeoutMs: 1 }))),
  )
  expect(await result()).toMatch(/at most 16 questions/)
  const order = (await h.entries('s')).map(({ type }) => type).filter((type) => /asked|answered/.test(type))
  expect(order).toEqual(Array.from({ length: 32 }, (_, n) => (n % 2 === 0 ? 'tool.asked' : 'tool.answered')))
})

describe('after the node of a waiting tool has stopped', () => {
  const twice: Execute = async ({ ask }) => {
    const first: Answer = await ask({ message: 'First?' })
    const second: Answer = await ask({ message: 'Second?' })
    return `${first.by}, ${second.by}`
  }

  it('an idempotent tool gets the answers that were given, and the open question stays open', async () => {
    await run(twice, { idempotent: true })
    await answer({ action: 'accept' }, BOB)
    const open = await asked(2)
    await h.close()
    await h.open()
    await h.event('s', 'run.started', ({ epoch }) => epoch === 2)
    await h.service.answer(
      { type: 'tool.answer', id: 'a2', session: 's', call: open.call, question: open.question, action: 'accept' },
      ADA,
    )
    expect(await result()).toBe('bob, ada')
    const questions = (await h.entries('s')).filter(({ type }) => type === 'tool.asked')
    expect(questions).toHaveLength(2)
  })

  it('any other tool ends with an error, which closes the question', async () => {
    await run(twice)
    const { call, question } = await asked()
    await h.close()
    await h.open()
    expect(await result()).toBe('The server stopped while the tool ran. The tool may have taken effect.')
    const late = { type: 'tool.answer', id: 'x', session: 's', call, question, action: 'accept' } as const
    await expect(h.service.answer(late, ADA)).rejects.toMatchObject({ code: 'call_ended' })
  })
})
