// Runs from message to end, over the real log: streaming, tools, cancelling and redirecting, provider failures, and replaced
// drivers.
import { APICallError } from '@ai-sdk/provider'
import { makeId } from '@parley/protocol'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { StorageError } from '../store/ports/errors.ts'
import type { Follower } from '../store/ports/session-log.ts'
import { defineTool } from '../tool/define-tool.ts'
import { CALLER, EngineHarness, type HarnessOptions, OTHER } from './test/engine-harness.ts'

const open: EngineHarness[] = []
async function start(options: HarnessOptions = {}): Promise<EngineHarness> {
  const harness = await EngineHarness.start(options)
  open.push(harness)
  return harness
}
afterEach(async () => {
  for (const harness of open.splice(0)) await harness.dispose()
})

/** As the providers' packages report it. */
function refusal(statusCode: number, responseHeaders: Record<string, string> = {}): APICallError {
  const isRetryable = statusCode === 429 || statusCode >= 500
  return new APICallError({
    message: 'no',
    url: 'http://p',
    requestBodyValues: {},
    statusCode,
    responseHeaders,
    isRetryable,
  })
}

const textOf = (content: unknown): string => JSON.stringify(content)

describe('a run', () => {
  it('streams the model’s output and ends with all of it', async () => {
    const h = await start()
    const { run } = await h.send('s', 'hello')
    const call = await h.model.next()
    expect(call.options.prompt).toEqual([{ role: 'user', content: [{ type: 'text', text: 'hello' }] }])
    call.reasoning('hm')
    await h.event('s', 'run.output', (event) => event.kind === 'reasoning')
    call.text('Hel')
    await h.event('s', 'run.output', (event) => event.text === 'Hel')
    call.text('lo')
    call.finish()
    const ended = await h.event('s', 'run.ended')
    expect(ended).toMatchObject({ run, reason: 'completed', next: 3, usage: { inputTokens: 7, outputTokens: 3 } })
    expect(ended.output?.map((part) => ('text' in part ? [part.type, part.text] : part))).toEqual([
      ['reasoning', 'hm'],
      ['text', 'Hello'],
    ])
    expect((await h.entries('s')).map((event) => event.type)).toEqual(['message', 'run.ended'])
  })

  it('joins the halves of a split surrogate pair', async () => {
    const h = await start()
    await h.send('s', 'hello')
    const call = await h.model.next()
    call.text('a\ud83d')
    expect(await h.event('s', 'run.output')).toMatchObject({ index: 0, text: 'a' })
    call.text('\ude00b')
    expect(await h.event('s', 'run.output', (event) => event.index === 1)).toMatchObject({ text: '😀b' })
    call.finish()
  })

  it('replaces lone surrogates of the model once, in text and in the input of calls', async () => {
    // JSON readers got the half, MessagePack readers U+FFFD, and some providers refused it in every later prompt.
    const h = await start({ serverTools: [] })
    await h.send('s', 'hello')
    const call = await h.model.next()
    call.text('a\ud83d!')
    call.text('\ude00b')
    call.tool('none\udc00', '{"q\\ud83d":["\\ude00"]}')
    call.finish('tool-calls')
    expect(await h.event('s', 'tool.called')).toMatchObject({ name: 'none\ufffd', input: { 'q\ufffd': ['\ufffd'] } })
    const next = await h.model.next()
    expect(JSON.stringify(next.options.prompt)).not.toMatch(/\\ud[89a-f]/)
    next.finish()
    const ended = await h.event('s', 'run.ended')
    expect(ended.output?.[0]).toMatchObject({ type: 'text', text: 'a\ufffd!\ufffdb' })
  })

  it('gives the model the conversation so far', async () => {
    const h = await start()
    await h.send('s', 'one')
    const first = await h.model.next()
    first.text('uno')
    first.finish()
    await h.event('s', 'run.ended')
    await h.send('s', 'two')
    const second = await h.model.next()
    expect(second.options.prompt.map((message) => [message.role, textOf(message.content)])).toEqual([
      ['user', textOf([{ type: 'text', text: 'one' }])],
      ['assistant', textOf([{ type: 'text', text: 'uno' }])],
      ['user', textOf([{ type: 'text', text: 'two' }])],
    ])
    second.finish()
  })

  it('waits for its turn with policy queue', async () => {
    const h = await start()
    await h.send('s', 'one')
    const first = await h.model.next()
    const { run } = await h.send('s', 'two')
    expect(h.model.calls).toHaveLength(1)
    first.finish()
    const second = await h.model.next()
    second.finish()
    await h.event('s', 'run.ended', (event) => event.run === run)
  })

  it('is refused with policy reject while another run is active', async () => {
    const h = await start()
    await h.send('s', 'one')
    await h.model.next()
    await expect(h.send('s', 'two', { policy: 'reject' })).rejects.toMatchObject({ code: 'run_active' })
    expect((await h.entries('s')).filter((event) => event.type === 'message')).toHaveLength(1)
  })

  it('lets one of two concurrent messages with policy reject win', async () => {
    const h = await start()
    const results = await Promise.allSettled([
      h.send('s', 'one', { policy: 'reject' }),
      h.send('s', 'two', { policy: 'reject' }),
    ])
    expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected'])
    const call = await h.model.next()
    call.finish()
    await h.event('s', 'run.ended', (event) => event.reason === 'completed')
  })

  it('takes a steering message at its next model call', async () => {
    const h = await start()
    const { run } = await h.send('s', 'one')
    const first = await h.model.next()
    first.text('so far')
    await h.event('s', 'run.output')
    const steered = await h.send('s', 'and in French', { policy: 'steer' })
    expect(steered.run).toBe(run)
    first.finish()
    const second = await h.model.next()
    expect(second.options.prompt.map((message) => message.role)).toEqual(['user', 'assistant', 'user'])
    second.text('enfin')
    second.finish()
    const ended = await h.event('s', 'run.ended')
    expect(ended.output?.map((part) => part.type)).toEqual(['text', 'message', 'text'])
  })

  it('answers a late steering message, although the node that accepted it died after storing it', async () => {
    const h = await start()
    const { log } = h.stores
    await h.send('s', 'one')
    const first = await h.model.next()
    first.text('all there is')
    await h.event('s', 'run.output')
    const append = log.append.bind(log)
    log.append = async (session, subject, ...rest) => {
      if (subject !== 'in.late') return append(session, subject, ...rest)
      first.finish()
      await h.event('s', 'run.ended')
      await append(session, subject, ...rest)
      throw new StorageError('unavailable')
    }
    await expect(h.send('s', 'and in French', { id: 'late', policy: 'steer' })).rejects.toThrow()
    const second = await h.model.next()
    expect(second.options.prompt.map((message) => message.role)).toEqual(['user', 'assistant', 'user'])
    second.finish()
    await h.event('s', 'run.ended', (event) => event.run === 'steer_late')
  })

  it('answers a steering message that its run no longer took', async () => {
    const h = await start()
    const { run } = await h.send('s', 'one')
    const first = await h.model.next()
    first.text('all there is')
    await h.event('s', 'run.output')
    expect(await h.send('s', 'and in French', { id: 'waits', policy: 'steer' })).toMatchObject({ run })
    // The handler of its offer knows by now that the message is not late.
    await new Promise((resolve) => setTimeout(resolve, 400))
    // The driver completes the run before it learns of the message.
    const subject = `run.${run}` as const
    const usage = { inputTokens: 7, outputTokens: 3 }
    const end = { type: 'run.ended' as const, run: run ?? '', reason: 'completed' as const, usage, next: 1 }
    await h.stores.log.append('s', subject, end, await h.stores.log.last('s', subject))
    const second = await h.model.next()
    second.finish()
    await h.event('s', 'run.ended', (event) => event.run === 'steer_waits')
  })

  it('leaves unseen output out of the next prompt', async () => {
    const h = await start()
    const { run = '' } = await h.send('s', 'one')
    const first = await h.model.next()
    first.text('seen')
    await h.event('s', 'run.output', (event) => event.index === 0)
    first.text(' unseen')
    await h.event('s', 'run.output', (event) => event.index === 1)
    await h.send('s', 'two', { policy: 'interrupt', seen: { run, index: 0 } })
    const second = await h.model.next()
    expect(second.options.prompt[1]).toEqual({ role: 'assistant', content: [{ type: 'text', text: 'seen' }] })
    const ended = await h.event('s', 'run.ended', (event) => event.compacted === true)
    expect(ended).toMatchObject({ reason: 'superseded', seen: { run, index: 0 } })
    expect(ended.output?.map((part) => ('unseen' in part ? [part.text, part.unseen] : part))).toMatchObject([
      { text: 'seen' },
      [' unseen', true],
    ])
    second.finish()
  })
})

describe('cancelling', () => {
  it('ends the run for all readers, closes the request, and keeps the text', async () => {
    const h = await start()
    const { run } = await h.send('s', 'one')
    const call = await h.model.next()
    call.text('begun')
    await h.event('s', 'run.output')
    const receipt = await h.service.cancel({ type: 'cancel', id: 'c1', session: 's' }, CALLER)
    expect(receipt).toMatchObject({ run, final: true })
    await call.aborted
    const ended = await h.event('s', 'run.ended', (event) => event.compacted === true)
    expect(ended).toMatchObject({ reason: 'cancelled', by: 'ada', next: 1, usage: { outputTokens: 1 } })
    expect(ended.output).toMatchObject([{ type: 'text', text: 'begun' }])
  })

  it('takes effect once, however often it is sent', async () => {
    const h = await start()
    await h.send('s', 'one')
    await h.model.next()
    const second = await h.send('s', 'two')
    const cancel = { type: 'cancel', id: 'c1', session: 's' } as const
    const receipts = await Promise.all([CALLER, OTHER, CALLER, OTHER, CALLER].map((by) => h.service.cancel(cancel, by)))
    expect(new Set(receipts.map((receipt) => receipt.run)).size).toBe(1)
    const call = await h.model.next()
    await h.service.cancel(cancel, CALLER)
    call.finish()
    expect(await h.event('s', 'run.ended', (event) => event.run === second.run)).toMatchObject({ reason: 'completed' })
  })

  // After compaction, the remaining end did not count as the effect of the command.
  it('takes effect once, even if it is repeated to a reopened session', async () => {
    const h = await start()
    const { run } = await h.send('s', 'one')
    const first = await h.model.next()
    first.text('uno')
    await h.event('s', 'run.output')
    const cancel = { type: 'cancel', id: 'c_stop', session: 's' } as const
    expect(await h.service.cancel(cancel, CALLER)).toMatchObject({ run })
    await h.event('s', 'run.ended', (event) => event.compacted === true)
    await h.close()
    await h.open()
    await h.send('s', 'two')
    const second = await h.model.next()
    expect(await h.service.cancel(cancel, CALLER)).toMatchObject({ run, duplicate: true })
    second.finish()
    await h.event('s', 'run.ended', (event) => event.run !== run && event.reason === 'completed')
  })

  it('is refused if no run is active or the run is unknown', async () => {
    const h = await start()
    const cancel = { type: 'cancel', id: 'c1', session: 's' } as const
    await expect(h.service.cancel(cancel, CALLER)).rejects.toMatchObject({ code: 'no_active_run' })
    await expect(h.service.cancel({ ...cancel, run: 'r' }, CALLER)).rejects.toMatchObject({ code: 'run_not_found' })
  })

  it('ends all earlier runs on an interrupt, and starts the new one', async () => {
    const h = await start()
    const first = await h.send('s', 'one')
    const call = await h.model.next()
    const queued = await h.send('s', 'two')
    const { run } = await h.send('s', 'three', { policy: 'interrupt' })
    await call.aborted
    const next = await h.model.next()
    const asked = next.options.prompt.flatMap((message) => (message.role === 'user' ? message.content : []))
    expect(asked.map((part) => ('text' in part ? part.text : ''))).toEqual(['one', 'two', 'three'])
    next.finish()
    await h.event('s', 'run.ended', (event) => event.run === run)
    for (const superseded of [first, queued]) {
      expect(await h.event('s', 'run.ended', (event) => event.run === superseded.run)).toMatchObject({
        reason: 'superseded',
      })
    }
  })
})

describe('a message', () => {
  it('takes effect once if it is sent five times', async () => {
    const h = await start()
    const id = makeId('c')
    const receipts = await Promise.all(
      [CALLER, OTHER, CALLER, OTHER, CALLER].map((by) =>
        h.service.send({ type: 'send', id, session: 's', content: 'hello' }, by),
      ),
    )
    expect(new Set(receipts.map((receipt) => receipt.run)).size).toBe(1)
    expect(receipts.filter((receipt) => receipt.duplicate === true)).toHaveLength(4)
    const call = await h.model.next()
    call.finish()
    await h.event('s', 'run.ended')
    expect(h.model.calls).toHaveLength(1)
  })

  it('is answered on a retry, if the queue refused its run at first', async () => {
    const h = await start()
    const content = [{ type: 'text' as const, text: 'hello' }]
    const about = { type: 'message', role: 'user', author: 'ada', policy: 'queue' } as const
    await h.stores.log.append('s', 'in.c_1', { ...about, id: 'c_1', content, run: 'run_1' }, 0)
    expect(await h.send('s', 'hello', { id: 'c_1' })).toMatchObject({ run: 'run_1', duplicate: true })
    const call = await h.model.next()
    call.finish()
    expect(await h.event('s', 'run.ended')).toMatchObject({ run: 'run_1', reason: 'completed' })
  })

  it('is refused if its id was used for another message', async () => {
    const h = await start()
    await h.send('s', 'one', { id: 'c1' })
    await expect(h.send('s', 'two', { id: 'c1' })).rejects.toMatchObject({ code: 'command_id_reused' })
  })
})

describe('a message that is stored after its run was offered', () => {
  it('is answered, even if this node learns of it late', async () => {
    // Regression: while a feed was compared with the log for ten seconds, the run of an acknowledged message was dropped.
    const h = await start({ limits: { messageWaitMs: 30 } })
    const { log, runs } = h.stores
    const follow = log.follow.bind(log)
    const held: (() => void)[] = []
    log.follow = async (session, after, follower) =>
      follow(session, after, { entries: (entries) => held.push(() => follower.entries(entries)) })
    const head = log.head.bind(log)
    const asked: ((cursor: string) => void)[] = []
    let stored = (): void => undefined
    const isStored = new Promise<void>((resolve) => {
      stored = resolve
    })
    log.head = async (session) => {
      // The second check comes after the message, however slow the disk is.
      if (asked.length === 1) await isStored
      const cursor = await head(session)
      asked.shift()?.(cursor)
      return cursor
    }
    const first = new Promise<string>((resolve) => asked.push(resolve))
    const second = new Promise<string>((resolve) => asked.push(resolve))
    await runs.offer({ session: 's', run: 'run_1', command: 'c_1' })
    expect(await first).toBe(`${log.epoch}.0`)
    const content = [{ type: 'text' as const, text: 'hello' }]
    const about = { type: 'message', role: 'user', author: 'ada', policy: 'queue' } as const
    const { seq } = await log.append('s', 'in.c_1', { ...about, id: 'c_1', content, run: 'run_1' }, 0)
    stored()
    expect(await second).toBe(`${log.epoch}.${seq}`)
    log.follow = follow
    for (const hand of held.splice(0)) hand()
    held.push = (hand) => {
      hand()
      return 0
    }
    const call = await h.model.next()
    call.finish()
    expect(await h.event('s', 'run.ended')).toMatchObject({ run: 'run_1', reason: 'completed' })
  })
})

describe('tools', () => {
  const add = defineTool({
    name: 'add',
    inputSchema: z.object({ a: z.number(), b: z.number() }),
    execute: ({ a, b }) => a + b,
  })

  it('of the server run in parallel, and the model gets their results', async () => {
    let running = 0
    let most = 0
    let both: () => void = () => undefined
    const together = new Promise<void>((resolve) => {
      both = resolve
    })
    const wait = defineTool({
      name: 'wait',
      inputSchema: {},
      async execute() {
        running += 1
        most = Math.max(most, running)
        if (running === 2) both()
        await together
        return 'done'
      },
    })
    const h = await start({ serverTools: [wait] })
    await h.send('s', 'go')
    const first = await h.model.next()
    expect(first.options.tools?.map((tool) => tool.name)).toEqual(['wait'])
    first.tool('wait', {})
    first.tool('wait', {})
    first.finish('tool-calls')
    const second = await h.model.next()
    expect(most).toBe(2)
    expect(second.options.prompt.at(-1)).toMatchObject({
      role: 'tool',
      content: [{ output: { type: 'text', value: 'done' } }, { output: { type: 'text', value: 'done' } }],
    })
    second.finish()
    const ended = await h.event('s', 'run.ended')
    expect(ended.usage).toEqual({ inputTokens: 14, outputTokens: 6 })
  })

  it.each([
    ['an unknown tool', 'nothing', {}, /no tool named/],
    ['an invalid input', 'add', { a: 'x' }, /does not match/],
    ['an input that is not JSON', 'add', '{"a":', /not JSON/],
  ])('give the model an error for %s', async (_, name, input, expected) => {
    const h = await start({ serverTools: [add] })
    await h.send('s', 'go')
    const first = await h.model.next()
    first.tool(name, input)
    first.finish('tool-calls')
    const second = await h.model.next()
    const last = second.options.prompt.at(-1)
    expect(textOf(last)).toMatch(expected)
    second.finish()
  })

  it('that throw, time out or return too much give the model an error', async () => {
    const tools = [
      defineTool({ name: 'throws', inputSchema: {}, execute: () => Promise.reject(new Error('no luck')) }),
      defineTool({ name: 'hangs', inputSchema: {}, timeoutMs: 20, execute: () => new Promise(() => undefined) }),
      defineTool({ name: 'digs', inputSchema: {}, execute: () => JSON.parse(`${'['.repeat(600)}${']'.repeat(600)}`) }),
      defineTool({ name: 'floods', inputSchema: {}, execute: () => 'x'.repeat(300_000) }),
    ]
    const h = await start({ serverTools: tools })
    await h.send('s', 'go')
    const first = await h.model.next()
    for (const tool of tools) first.tool(tool.name, {})
    first.finish('tool-calls')
    const second = await h.model.next()
    const errors = textOf(second.options.prompt.at(-1))
    expect(errors).toMatch(/no luck/)
    expect(errors).toMatch(/longer than 20 ms/)
    // MessagePack clients could not read the entry, however often they connected again.
    expect(errors).toMatch(/deeper than 64 levels/)
    expect(errors).toMatch(/larger than 262144 bytes/)
    second.finish()
  })

  it('of a client are claimed by one connection, whose result continues the run', async () => {
    const h = await start()
    const tool = { name: 'where', inputSchema: { type: 'object' } }
    await h.service.attach('s', CALLER, [tool])
    await h.service.attach('s', OTHER, [tool])
    await h.send('s', 'go')
    const first = await h.model.next()
    first.tool('where', {})
    first.finish('tool-calls')
    const { call } = await h.event('s', 'tool.called')
    const claims = await Promise.allSettled(
      [CALLER, OTHER].map((by) => h.service.claim({ type: 'tool.claim', id: makeId('c'), session: 's', call }, by)),
    )
    expect(claims.map((claim) => claim.status).sort()).toEqual(['fulfilled', 'rejected'])
    const [winner, loser] = claims[0]?.status === 'fulfilled' ? [CALLER, OTHER] : [OTHER, CALLER]
    const result = { type: 'tool.result', session: 's', call, output: { city: 'Bern' } } as const
    await expect(h.service.result({ ...result, id: 'r1' }, loser)).rejects.toMatchObject({ code: 'call_not_claimed' })
    await h.service.result({ ...result, id: 'r2' }, winner)
    expect(await h.service.result({ ...result, id: 'r2' }, winner)).toMatchObject({ duplicate: true })
    const second = await h.model.next()
    expect(textOf(second.options.prompt.at(-1))).toMatch(/Bern/)
    second.finish()
  })

  it('of a client are offered again if the claimant disconnects', async () => {
    const h = await start()
    const tool = { name: 'where' }
    await h.service.attach('s', CALLER, [tool])
    await h.service.attach('s', OTHER, [tool])
    await h.send('s', 'go')
    const first = await h.model.next()
    first.tool('where', {})
    first.finish('tool-calls')
    const { call } = await h.event('s', 'tool.called')
    await h.service.claim({ type: 'tool.claim', id: 'c1', session: 's', call }, CALLER)
    h.service.detach('s', CALLER)
    await h.event('s', 'tool.called', (event) => event.attempt === 2)
    await h.service.claim({ type: 'tool.claim', id: 'c2', session: 's', call }, OTHER)
    await h.service.result({ type: 'tool.result', id: 'r1', session: 's', call, error: 'not at home' }, OTHER)
    const second = await h.model.next()
    expect(textOf(second.options.prompt.at(-1))).toMatch(/not at home/)
    second.finish()
  })

  it('of a client are offered again if the claim expires', async () => {
    const h = await start({ leaseMs: 30 })
    await h.service.attach('s', CALLER, [{ name: 'where' }])
    await h.send('s', 'go')
    const first = await h.model.next()
    first.tool('where', {})
    first.finish('tool-calls')
    const { call } = await h.event('s', 'tool.called')
    await h.service.claim({ type: 'tool.claim', id: 'c1', session: 's', call }, CALLER)
    await h.event('s', 'tool.called', (event) => event.attempt === 2)
    await h.service.result({ type: 'tool.result', id: 'r1', session: 's', call, output: 1 }, CALLER)
    const second = await h.model.next()
    second.finish()
  })

  it('that no client runs give the model a timeout error', async () => {
    const h = await start()
    await h.service.attach('s', CALLER, [{ name: 'where', timeoutMs: 100 }])
    await h.send('s', 'go')
    const first = await h.model.next()
    first.tool('where', {})
    first.finish('tool-calls')
    const second = await h.model.next()
    expect(textOf(second.options.prompt.at(-1))).toMatch(/No client claimed the call/)
    second.finish()
  })

  it('reject a result that does not match their schema, and accept the next', async () => {
    const h = await start()
    await h.service.attach('s', CALLER, [{ name: 'where', outputSchema: { type: 'object', required: ['city'] } }])
    await h.send('s', 'go')
    const first = await h.model.next()
    first.tool('where', {})
    first.finish('tool-calls')
    const { call } = await h.event('s', 'tool.called')
    const result = { type: 'tool.result', session: 's', call } as const
    await expect(h.service.result({ ...result, id: 'r1', output: {} }, CALLER)).rejects.toMatchObject({
      code: 'invalid_tool_output',
    })
    await h.service.result({ ...result, id: 'r2', output: { city: 'Bern' } }, CALLER)
    const second = await h.model.next()
    second.finish()
  })

  it('that need approval wait for it, and the first decision wins', async () => {
    const ran: unknown[] = []
    const pay = defineTool({ name: 'pay', inputSchema: {}, approval: true, execute: (input) => ran.push(input) })
    const h = await start({ serverTools: [pay] })
    await h.send('s', 'go')
    const first = await h.model.next()
    first.tool('pay', { sum: 1 })
    first.tool('pay', { sum: 2 })
    first.finish('tool-calls')
    const one = await h.event('s', 'tool.called', (event) => textOf(event.input).includes('1'))
    const two = await h.event('s', 'tool.called', (event) => textOf(event.input).includes('2'))
    expect(one.approval).toBe(true)
    const decide = { type: 'tool.decide', session: 's', call: one.call } as const
    const decisions = await Promise.allSettled([
      h.service.decide({ ...decide, id: 'd1', decision: 'approve' }, CALLER),
      h.service.decide({ ...decide, id: 'd2', decision: 'approve' }, OTHER),
    ])
    expect(decisions.map((decision) => decision.status).sort()).toEqual(['fulfilled', 'rejected'])
    await h.service.decide({ ...decide, id: 'd3', call: two.call, decision: 'deny', reason: 'too dear' }, OTHER)
    const second = await h.model.next()
    expect(ran).toEqual([{ sum: 1 }])
    expect(textOf(second.options.prompt.at(-1))).toContain('The call was denied: too dear')
    second.finish()
  })

  // The runs of one user that waited for people filled PARLEY_RUNS, and everybody else's stayed queued.
  it('that wait for approval, and messages behind them, leave room for other runs', async () => {
    const pay = defineTool({ name: 'pay', inputSchema: {}, approval: true, execute: () => 1 })
    const h = await start({ serverTools: [pay], concurrency: 1 })
    await h.send('s', 'go')
    const first = await h.model.next()
    first.tool('pay', {})
    first.finish('tool-calls')
    await h.event('s', 'tool.called')
    await h.send('s', 'and then', { policy: 'queue' })
    await h.send('t', 'hi')
    const other = await h.model.next()
    expect(textOf(other.options.prompt.at(-1))).toMatch(/hi/)
    other.finish()
    expect(await h.event('t', 'run.ended')).toMatchObject({ reason: 'completed' })
  })

  // Each steering message keeps an offer of its own, for the case that it is late.
  it('and steering messages that wait for their run leave room for other runs', async () => {
    const h = await start({ concurrency: 2 })
    const { run } = await h.send('s', 'go')
    const first = await h.model.next()
    for (let n = 1; n <= 8; n++) expect(await h.send('s', `and ${n}`, { policy: 'steer' })).toMatchObject({ run })
    await expect(h.send('s', 'and 9', { policy: 'steer' })).rejects.toMatchObject({
      code: 'queue_full',
      retryable: true,
    })
    await h.send('t', 'hi')
    const other = await h.model.next()
    expect(textOf(other.options.prompt.at(-1))).toMatch(/hi/)
    other.finish()
    expect(await h.event('t', 'run.ended')).toMatchObject({ reason: 'completed' })
    first.finish()
    const second = await h.model.next()
    expect(textOf(second.options.prompt)).toMatch(/and 8/)
    second.finish()
    expect(await h.event('s', 'run.ended')).toMatchObject({ run, reason: 'completed' })
  })

  it('that need approval expire', async () => {
    const pay = defineTool({ name: 'pay', inputSchema: {}, approval: true, execute: () => 1 })
    const h = await start({ serverTools: [pay], limits: { approvalMs: 50 } })
    await h.send('s', 'go')
    const first = await h.model.next()
    first.tool('pay', {})
    first.finish('tool-calls')
    const second = await h.model.next()
    expect(textOf(second.options.prompt.at(-1))).toMatch(/was not approved/)
    second.finish()
  })
})

describe('a provider', () => {
  it('that sends no first token fails the run', async () => {
    const h = await start({ limits: { firstTokenMs: 50 } })
    await h.send('s', 'go')
    const call = await h.model.next()
    await call.aborted
    expect(await h.event('s', 'run.ended')).toMatchObject({ reason: 'failed', error: { code: 'provider_timeout' } })
  })

  it('that falls silent in mid-answer fails the run, and the text is kept', async () => {
    const h = await start({ limits: { betweenTokensMs: 50 } })
    await h.send('s', 'go')
    const call = await h.model.next()
    call.text('half')
    await call.aborted
    expect(await h.event('s', 'run.ended')).toMatchObject({
      reason: 'failed',
      error: { code: 'provider_timeout' },
      output: [{ type: 'text', text: 'half' }],
    })
  })

  it('that limits the rate before any output is retried after its wait', async () => {
    const h = await start()
    h.model.failures.push(refusal(429, { 'retry-after-ms': '20' }), refusal(503))
    const { run } = await h.send('s', 'go')
    const call = await h.model.next()
    call.text('at last')
    call.finish()
    expect(await h.event('s', 'run.ended')).toMatchObject({ run, reason: 'completed', output: [{ text: 'at last' }] })
  })

  it.each([
    ['asks for a longer wait than the limit', [refusal(429, { 'retry-after': '3600' })], 'provider_rate_limited'],
    ['fails again and again', [refusal(500), refusal(500), refusal(500)], 'provider_error'],
    ['refuses the credentials', [refusal(401)], 'provider_unauthenticated'],
  ])('that %s fails the run', async (_, failures, code) => {
    const h = await start()
    h.model.failures.push(...failures)
    await h.send('s', 'go')
    expect(await h.event('s', 'run.ended')).toMatchObject({ reason: 'failed', error: { code } })
    expect(h.model.calls).toHaveLength(0)
  })

  it('that asks for a long wait gives it to the reader of the run', async () => {
    const h = await start()
    h.model.failures.push(refusal(503, { 'retry-after': '3600' }), refusal(429, { 'retry-after': '1800' }))
    await h.send('s', 'go')
    expect((await h.event('s', 'run.ended')).error).toMatchObject({
      code: 'provider_error',
      retryable: true,
      retryAfterMs: 3_600_000,
    })
    await h.send('t', 'go')
    expect((await h.event('t', 'run.ended')).error).toEqual({
      code: 'provider_rate_limited',
      message: expect.any(String),
      retryable: true,
      retryAfterMs: 1_800_000,
      providerStatus: 429,
    })
  })

  it('that drops the connection fails the run', async () => {
    const h = await start()
    await h.send('s', 'go')
    const call = await h.model.next()
    call.text('half')
    call.cut()
    expect(await h.event('s', 'run.ended')).toMatchObject({ error: { code: 'provider_disconnected' } })
  })

  it('that filters the answer fails the run', async () => {
    const h = await start()
    await h.send('s', 'go')
    const call = await h.model.next()
    call.finish('content-filter')
    expect(await h.event('s', 'run.ended')).toMatchObject({ error: { code: 'content_filtered' } })
  })

  it('that breaks the stream fails the run without exposing its error text', async () => {
    const h = await start()
    await h.send('s', 'go')
    const call = await h.model.next()
    call.fail(new Error('secret at 10.0.0.1'))
    const ended = await h.event('s', 'run.ended')
    expect(ended.reason).toBe('failed')
    expect(textOf(ended)).not.toMatch(/secret/)
  })

  it('that never stops is stopped at the token limit', async () => {
    const h = await start({ limits: { outputTokens: 10 } })
    await h.send('s', 'go')
    const call = await h.model.next()
    for (let token = 0; token < 20; token += 1) call.text('x')
    await call.aborted
    expect(await h.event('s', 'run.ended')).toMatchObject({ error: { code: 'token_limit' } })
  })

  it('that calls tools forever is stopped at the step limit', async () => {
    const noop = defineTool({ name: 'noop', inputSchema: {}, execute: () => 1 })
    const h = await start({ limits: { steps: 2 }, serverTools: [noop] })
    await h.send('s', 'go')
    for (let step = 0; step < 2; step += 1) {
      const call = await h.model.next()
      call.tool('noop', {})
      call.finish('tool-calls')
    }
    expect(await h.event('s', 'run.ended')).toMatchObject({ error: { code: 'step_limit' } })
  })

  it('that exceeds the time limit is stopped', async () => {
    const h = await start({ limits: { runMs: 50 } })
    await h.send('s', 'go')
    await h.model.next()
    expect(await h.event('s', 'run.ended')).toMatchObject({ error: { code: 'time_limit' } })
  })
})

describe('a run whose driver stopped', () => {
  it('continues from the stored text if the model can be prefilled', async () => {
    const h = await start()
    h.model.prefill = 'text'
    await h.send('s', 'go')
    const first = await h.model.next()
    first.text('one ')
    await h.event('s', 'run.output')
    await h.close()
    await h.open()
    const second = await h.model.next()
    expect(second.options.prompt.at(-1)).toEqual({ role: 'assistant', content: [{ type: 'text', text: 'one ' }] })
    second.text('two')
    second.finish()
    const started = await h.event('s', 'run.ended')
    expect(started).toMatchObject({
      epoch: 2,
      reason: 'completed',
      next: 2,
      output: [{ text: 'one two', lengths: [4, 3] }],
    })
  })

  it('continues from all of it, even after a message whose sender had not seen all of it', async () => {
    // Regression: the prompt contained only the seen text, so the model repeated the rest.
    const h = await start()
    h.model.prefill = 'text'
    const { run } = await h.send('s', 'go')
    const first = await h.model.next()
    first.text('one ')
    await h.event('s', 'run.output')
    await h.send('s', 'and then?', { seen: { run: run ?? '', index: -1 } })
    await h.close()
    await h.open()
    const second = await h.model.next()
    expect(second.options.prompt.at(-1)).toEqual({ role: 'assistant', content: [{ type: 'text', text: 'one ' }] })
  })

  it('restarts if it cannot, with continuous indexes', async () => {
    const h = await start()
    await h.send('s', 'go')
    const first = await h.model.next()
    first.text('one ')
    await h.event('s', 'run.output')
    await h.close()
    await h.open()
    const second = await h.model.next()
    expect(second.options.prompt.at(-1)?.role).toBe('user')
    expect(await h.event('s', 'run.started', (event) => event.epoch === 2)).toMatchObject({ mode: 'restart', next: 1 })
    second.text('again')
    second.finish()
    expect(await h.event('s', 'run.ended')).toMatchObject({ next: 2, output: [{ text: 'again', index: 1 }] })
  })

  it('waits for the tools that the previous driver called', async () => {
    const h = await start()
    await h.service.attach('s', CALLER, [{ name: 'where' }])
    await h.send('s', 'go')
    const first = await h.model.next()
    first.text('let me see ')
    first.tool('where', {})
    first.finish('tool-calls')
    const { call } = await h.event('s', 'tool.called')
    await h.close()
    await h.open()
    await h.service.attach('s', OTHER, [{ name: 'where' }])
    await h.service.result({ type: 'tool.result', id: 'r', session: 's', call, output: 'Bern' }, OTHER)
    const second = await h.model.next()
    expect(second.options.prompt.map((message) => message.role)).toEqual(['user', 'assistant', 'tool'])
    expect(textOf(second.options.prompt.at(-1))).toMatch(/Bern/)
    second.text('Bern it is')
    second.finish()
    expect(await h.event('s', 'run.ended')).toMatchObject({ reason: 'completed' })
  })

  it('keeps complete steps when the last one restarts', async () => {
    const noop = defineTool({ name: 'noop', inputSchema: {}, execute: () => 1 })
    const h = await start({ serverTools: [noop] })
    await h.send('s', 'go')
    const first = await h.model.next()
    first.text('step one ')
    first.tool('noop', {})
    first.finish('tool-calls')
    const second = await h.model.next()
    second.text('unfinished')
    await h.event('s', 'run.output', (event) => event.text === 'unfinished')
    await h.close()
    await h.open()
    const third = await h.model.next()
    expect(third.options.prompt.map((message) => message.role)).toEqual(['user', 'assistant', 'tool'])
    third.text('step two')
    third.finish()
    const ended = await h.event('s', 'run.ended')
    expect(ended.output?.map((part) => ('text' in part ? part.text : part.type))).toEqual([
      'step one ',
      'tool',
      'step two',
    ])
  })

  it('waits for a call although the model wrote text after it', async () => {
    const h = await start()
    h.model.prefill = 'text'
    await h.service.attach('s', CALLER, [{ name: 'where' }])
    await h.send('s', 'go')
    const first = await h.model.next()
    first.tool('where', {})
    const { call } = await h.event('s', 'tool.called')
    first.text('let me see')
    await h.event('s', 'run.output')
    await h.close()
    await h.open()
    await h.service.attach('s', OTHER, [{ name: 'where' }])
    await h.service.result({ type: 'tool.result', id: 'r', session: 's', call, output: 'Bern' }, OTHER)
    const second = await h.model.next()
    expect(textOf(second.options.prompt)).toMatch(/Bern/)
    second.text(': Bern')
    second.finish()
    await h.event('s', 'run.ended', (event) => event.reason === 'completed')
  })

  it('does not fail because it waited for a person over many restarts', async () => {
    const pay = defineTool({ name: 'pay', inputSchema: {}, approval: true, execute: () => 'paid' })
    const h = await start({ serverTools: [pay] })
    await h.send('s', 'go')
    const first = await h.model.next()
    first.tool('pay', {})
    first.finish('tool-calls')
    const { call } = await h.event('s', 'tool.called')
    for (let epoch = 2; epoch < 7; epoch += 1) {
      await h.close()
      await h.open()
      await h.event('s', 'run.started', (event) => event.epoch === epoch)
    }
    await h.service.decide({ type: 'tool.decide', id: 'd', session: 's', call, decision: 'approve' }, CALLER)
    const second = await h.model.next()
    second.finish()
    expect(await h.event('s', 'run.ended')).toMatchObject({ reason: 'completed' })
  })

  it('continues if its session can no longer be followed, as do queued runs', async () => {
    // Regression: they waited forever for a replica that received no more entries.
    const h = await start()
    const { log } = h.stores
    const follow = log.follow.bind(log)
    const followers: Follower[] = []
    log.follow = async (session, after, follower) => {
      followers.push(follower)
      return follow(session, after, follower)
    }
    await h.send('s', 'one')
    await h.send('s', 'two')
    const first = await h.model.next()
    first.text('never said whole')
    for (const follower of followers.splice(0)) follower.lost?.(new StorageError('unavailable'))
    const again = await h.model.next()
    again.text('one')
    again.finish()
    const second = await h.model.next()
    second.text('two')
    second.finish()
    const ended = await h.event(
      's',
      'run.ended',
      (event) => event.output?.some((part) => 'text' in part && part.text === 'two') === true,
    )
    expect(ended.reason).toBe('completed')
  })

  it('fails if its drivers are lost again and again', async () => {
    const h = await start()
    await h.send('s', 'go')
    for (let restart = 0; restart < 3; restart += 1) {
      await h.model.next()
      await h.close()
      await h.open()
    }
    expect(await h.event('s', 'run.ended')).toMatchObject({ reason: 'failed', error: { code: 'owner_lost' } })
  })
})
