// Random JSON Schemas, wherever a client may give one: each is accepted or refused by a typed error, and neither compiling
// nor validating stops other clients.
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { CommandError, StrictClient } from '../strict-client.ts'
import { FUZZ_MS, FuzzedServer } from './fuzzed-server.ts'
import { schemas } from './mutation.ts'

/** Time until a call has ended, with all that its schemas cost. */
const CALL_MS = 5_000
const TEXTS = ['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', `${'x,'.repeat(2_000)}`, 'b']

let fuzzed: FuzzedServer
beforeAll(async () => {
  fuzzed = await FuzzedServer.start()
})
afterAll(() => fuzzed.dispose())

it('are accepted or refused, and stop nobody', { timeout: FUZZ_MS * 2 + 60_000 }, async () => {
  let session = 0
  const value = fc.oneof(fc.constantFrom(...TEXTS), fc.jsonValue())
  const input = fc.record({
    input: schemas,
    output: schemas,
    format: schemas,
    values: fc.array(value, { minLength: 1, maxLength: 20 }),
  })
  const tried = await fuzzed.fuzz(input, async ({ input: inputSchema, output: outputSchema, format, values }) => {
    const client = new StrictClient(fuzzed.server.url)
    await client.connect()
    const name = `schemas_${session++}`
    const tools = [{ name: 'fuzzed', inputSchema, outputSchema, timeoutMs: 2_000 }]
    try {
      await client.attach(name, { tools })
      const call = client.frame((frame) => frame.type === 'entry' && frame.event.type === 'tool.called')
      const { run = '' } = await client.send(
        name,
        `/demo tool=fuzzed input=${JSON.stringify({ a: values[0] })} count=1 rate=0 ttft=0`,
      )
      const ended = client.ended(name, run)
      const called = await Promise.race([call, ended])
      if ('type' in called && called.type === 'entry' && called.event.type === 'tool.called') {
        const id = called.event.call
        await client.command({ type: 'tool.claim', id: 'claim', session: name, call: id })
        const results = values.map((output, index) =>
          client.command({ type: 'tool.result', id: `result${index}`, session: name, call: id, output }).catch(typed),
        )
        await Promise.race([Promise.all(results), timeout()])
      }
      await Promise.race([ended, timeout()])
    } catch (error) {
      typed(error)
    } finally {
      client.drop()
    }
    const answer = await fetch(`${fuzzed.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({
        model: 'demo',
        messages: [{ role: 'user', content: '/demo count=1 rate=0 ttft=0' }],
        response_format: { type: 'json_schema', json_schema: { name: 'fuzzed', schema: format } },
      }),
    })
    expect(answer.status, await answer.text()).toBeLessThan(500)
  })
  expect(tried).toBeGreaterThan(FUZZ_MS / 5_000)
})

function typed(error: unknown): undefined {
  if (!(error instanceof CommandError)) {
    // A frame over the limits closes the connection.
    if (error instanceof Error && /^(closed with 4\d\d\d|not connected)/.test(error.message)) return
    throw error
  }
  expect(error.frame.code).not.toBe('internal')
}

async function timeout(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, CALL_MS).unref())
}
