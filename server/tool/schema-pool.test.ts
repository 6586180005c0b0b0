// Checks of schemas that clients chose. They ran on the event loop, each with a limit of its own: 100 results with a slow pattern, or a
// few large schemas, kept a node from answering anybody for many seconds.
import type { JsonSchema } from '@parley/protocol'
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { CALLER, EngineHarness, OTHER } from '../run/test/engine-harness.ts'
import { checkSchema } from './json-schema.ts'
import { type Payer, SchemaPool, schemaPool } from './schema-pool.ts'

/** Takes V8 longer than anybody waits; RE2 does not know lookaheads. */
const SLOW = { pattern: '^(?=(a+)+$)b' }
const TEXT = `${'a'.repeat(40)}!`
const PAYER = { session: 's', connection: 'c', user: 'u' }

/** @returns a function that returns the longest stall of the event loop, and the sum of those over 200 ms */
function watchLoop(): () => { longest: number; sum: number } {
  let last = performance.now()
  const gaps: number[] = []
  const timer = setInterval(() => {
    gaps.push(performance.now() - last)
    last = performance.now()
  }, 5)
  return () => {
    clearInterval(timer)
    gaps.push(performance.now() - last)
    return {
      longest: Math.max(...gaps),
      sum: gaps.filter((ms) => ms > 200).reduce((sum, ms) => sum + ms, 0),
    }
  }
}

describe('the event loop', () => {
  let h: EngineHarness
  beforeEach(async () => {
    h = await EngineHarness.start()
  })
  afterEach(async () => {
    await h.dispose()
  })

  it('is free while a client sends 100 results that a slow pattern checks', async () => {
    await h.service.attach('s', CALLER, [{ name: 'look', outputSchema: { type: 'string', pattern: '^(a+)+$' } }])
    await h.send('s', 'go')
    const model = await h.model.next()
    model.tool('look', {})
    model.finish('tool-calls')
    const { call } = await h.event('s', 'tool.called')
    const stalled = watchLoop()
    const result = { type: 'tool.result', session: 's', call, output: TEXT } as const
    const sent = Array.from({ length: 100 }, (_, n) => h.service.result({ ...result, id: `r${n}` }, CALLER))
    const codes = (await Promise.allSettled(sent)).map((one) => one.status === 'rejected' && one.reason.code)
    expect(new Set(codes)).toEqual(new Set(['invalid_tool_output']))
    const { longest, sum } = stalled()
    // 26 s before.
    expect(sum).toBeLessThan(2_000)
    expect(longest).toBeLessThan(1_000)
  })

  it('is free while a client declares an ordinary schema of 110 kB', async () => {
    const field = {
      type: 'object',
      description: 'One of them',
      properties: { a: { type: 'string' }, b: { minimum: 0 } },
    }
    const properties = Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`f${n}`, field]))
    const stalled = watchLoop()
    await h.service.attach('s', CALLER, [{ name: 'fill', inputSchema: { type: 'object', properties } }])
    // 2 s to 5 s before.
    expect(stalled().sum).toBeLessThan(1_000)
    const tools = [{ name: 'fill', inputSchema: { allOf: Array.from({ length: 5_000 }, () => ({})) } }]
    await expect(h.service.attach('s', OTHER, tools)).rejects.toMatchObject({ code: 'invalid_tool' })
  })

  // Connection ids are public, and a client over plain HTTP chooses its own: it used up the budget of somebody else's WebSocket.
  it('does not charge a connection for clients over HTTP that name it', async () => {
    const check = vi.spyOn(schemaPool, 'checkSchema')
    const tools = [{ name: 'look', inputSchema: { type: 'object' } }]
    await h.service.attach('s', CALLER, tools)
    await h.service.attach('s', { ...OTHER, connection: CALLER.connection, roams: true }, tools)
    const charged = check.mock.calls.map(([, { connection }]) => connection)
    check.mockRestore()
    expect(charged).toHaveLength(2)
    expect(new Set(charged).size).toBe(2)
  })
})

describe('a schema', () => {
  it('has limits of depth and of arrays and objects, and may have any number of values', () => {
    const nested = (levels: number): JsonSchema => (levels === 1 ? {} : { not: nested(levels - 1) })
    expect(checkSchema(nested(64))).toEqual({ ok: true })
    expect(checkSchema(nested(66))).toEqual({ ok: false, problem: 'nested more than 64 levels' })
    const many = (count: number): JsonSchema => ({ anyOf: Array.from({ length: count }, () => ({})) })
    expect(checkSchema(many(5_000))).toEqual({ ok: false, problem: 'more than 5000 arrays and objects' })
    // More arguments than a function may have.
    expect(checkSchema({ enum: Array.from({ length: 200_000 }, (_, at) => at) })).toEqual({ ok: true })
  })
})

describe('a pool', () => {
  const pool = new SchemaPool({ budgets: { connection: 900, user: 900, session: 60_000 }, maxChars: 150_000 })
  const other = { session: 's' }
  afterAll(async () => {
    await pool.close()
  })

  it('refuses those who used up a budget, and serves the others', async () => {
    const slow = (connection: string) => pool.checkValue(SLOW, TEXT, { ...PAYER, connection })
    expect(await slow('c')).toMatchObject({ ok: false, problem: 'validation took too long' })
    const refused = { code: 'rate_limited', retryAfterMs: expect.any(Number) }
    await expect(slow('c')).rejects.toMatchObject(refused)
    // Another connection of the same user.
    await expect(slow('e')).rejects.toMatchObject(refused)
    expect(await pool.checkValue({ pattern: '^.$' }, 'x', other)).toEqual({ ok: true })
  })

  it('refuses what would need too much memory to wait for, first of those who used most', async () => {
    const large = 'x'.repeat(30_000)
    const check = (payer: Payer) =>
      pool.checkValue({}, large, payer).then(
        ({ ok }) => ok,
        (error) => error.code,
      )
    // Two run, and three may wait.
    const checks = [other, other, other, other, PAYER, other].map(check)
    expect(await Promise.all(checks)).toEqual([true, true, true, true, 'unavailable', true])
  })

  // Each refusal compared the shares of all that waited: 4,000 refusals blocked the event loop for seconds.
  it('refuses all jobs of those who used up a budget at once', async () => {
    const budget = 0.01
    const small = new SchemaPool({ budgets: { connection: budget, user: budget, session: budget }, maxChars: 1e9 })
    const stalled = watchLoop()
    const checks = Array.from({ length: 4_000 }, (_, n) => small.checkSchema({}, { ...PAYER, session: `s${n}` }))
    const results = await Promise.allSettled(checks)
    const { longest } = stalled()
    await small.close()
    const codes = results.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []))
    // A few ran.
    expect(codes.length).toBeGreaterThan(3_950)
    expect(new Set(codes)).toEqual(new Set(['rate_limited']))
    expect(longest).toBeLessThan(1_500)
  })

  it('matches patterns in linear time, or in V8 if they look around', async () => {
    const matches = async (pattern: string, text: string) => (await pool.checkValue({ pattern }, text, other)).ok
    expect(await matches('^(a+)+$', TEXT)).toBe(false)
    expect(await matches('^\\p{L}+[\\w-]{2}$', 'ä_-')).toBe(true)
    // zod's pattern of an e-mail address begins like this.
    expect(await matches('^(?!\\.)(?!.*\\.\\.)[a-z.]+$', 'a..b')).toBe(false)
    expect(await matches('^(?!\\.)(?!.*\\.\\.)[a-z.]+$', 'a.b')).toBe(true)
    expect(await pool.checkSchema({ pattern: '(' }, other)).toMatchObject({ ok: false })
  })

  it('ignores the keyword of Ajv that makes a validation asynchronous', async () => {
    const schema = { $async: true, type: 'string' }
    expect(await pool.checkValue(schema, 1, other)).toEqual({ ok: false, problem: 'the value must be string' })
    expect(await pool.checkValue(schema, 'x', other)).toEqual({ ok: true })
  })

  it('replaces a worker that does not answer', async () => {
    const impatient = new SchemaPool({ lostMs: 1 })
    expect(await impatient.checkValue(SLOW, TEXT, PAYER)).toMatchObject({ ok: false, timedOut: true })
    expect(await impatient.checkValue(SLOW, TEXT, PAYER)).toMatchObject({ ok: false, timedOut: true })
    await impatient.close()
  })
})
