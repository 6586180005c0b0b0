// The fifth promise: only one device runs a tool call. Two connections race for each of 1,000 calls, and a device that
// dies is replaced.
import { makeId } from '@parley/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { CommandError, StrictClient } from './strict-client.ts'

const SESSIONS = 20
const MESSAGES = 10
const CALLS = 5

let server: ServerProcess
beforeAll(async () => {
  server = await ServerProcess.start()
})
afterAll(async () => {
  await server.dispose()
})

const TOOLS = [{ name: 'work', description: 'Does some work.', inputSchema: { type: 'object' } }]

/** Claims every offered call, and calls `run` for those that it has won. */
function device(
  client: StrictClient,
  session: string,
  run: (call: string, attempt: number) => Promise<void>,
): string[] {
  const problems: string[] = []
  client.onFrame((frame) => {
    if (frame.type !== 'entry' || frame.session !== session || frame.event.type !== 'tool.called') return
    const { call, attempt } = frame.event
    client
      .command({ type: 'tool.claim', id: makeId('c'), session, call })
      .then(
        () => run(call, attempt),
        (error: unknown) => {
          const lost = error instanceof CommandError && ['call_claimed', 'call_ended'].includes(error.frame.code)
          if (!lost && client.open) problems.push(String(error))
        },
      )
      .catch((error: unknown) => {
        // The run's end may overtake the answer to its last result; the client has then disconnected.
        if (client.open) problems.push(String(error))
      })
  })
  return problems
}

describe('two connections that race', () => {
  it(`run each of ${SESSIONS * MESSAGES * CALLS} calls once`, async () => {
    const runs = new Map<string, number>()
    const problems: string[][] = []
    const lane = async (number: number): Promise<void> => {
      const session = `race_${number}`
      const pair = [new StrictClient(server.url), new StrictClient(server.url, { codec: 'msgpack' })] as const
      for (const client of pair) {
        await client.connect()
        await client.attach(session, { tools: TOOLS })
        const seen = device(client, session, async (call) => {
          runs.set(call, (runs.get(call) ?? 0) + 1)
          await client.command({ type: 'tool.result', id: makeId('c'), session, call, output: { done: call } })
        })
        problems.push(seen)
      }
      const [asker] = pair
      for (let message = 0; message < MESSAGES; message += 1) {
        const calls = Array.from({ length: CALLS }, (_, call) => `tool=work input={"n":${call}}`).join(' ')
        const { run = '' } = await asker.send(session, `/demo ${calls} count=3 rate=0 ttft=0`)
        const ended = await asker.ended(session, run)
        expect(ended.ended?.reason).toBe('completed')
      }
      for (const client of pair) {
        expect(client.session(session).faults).toEqual([])
        client.drop()
      }
    }
    await Promise.all(Array.from({ length: SESSIONS }, (_, number) => lane(number)))
    expect(problems.flat()).toEqual([])
    expect(runs.size).toBe(SESSIONS * MESSAGES * CALLS)
    expect([...runs.values()].every((count) => count === 1)).toBe(true)
  }, 60_000)

  it('replace a device that dies', async () => {
    const session = 'orphans'
    const survivor = new StrictClient(server.url)
    await survivor.connect()
    await survivor.attach(session, { tools: TOOLS })
    const attempts: number[] = []
    for (let round = 0; round < 20; round += 1) {
      const mortal = new StrictClient(server.url)
      await mortal.connect()
      const live = mortal.frame((frame) => frame.type === 'live')
      await mortal.attach(session, { tools: TOOLS })
      await live
      const offered = mortal.frame((frame) => frame.type === 'entry' && frame.event.type === 'tool.called')
      const again = survivor.frame(
        (frame) => frame.type === 'entry' && frame.event.type === 'tool.called' && frame.event.attempt === 2,
      )
      const { run = '' } = await survivor.send(session, '/demo tool=work input={} count=1 rate=0 ttft=0')
      const frame = await offered
      if (frame.type !== 'entry' || frame.event.type !== 'tool.called') throw new Error('not a call')
      const { call } = frame.event
      await mortal.command({ type: 'tool.claim', id: makeId('c'), session, call })
      const late = survivor.command({ type: 'tool.claim', id: makeId('c'), session, call })
      await expect(late).rejects.toThrow(/call_claimed/)
      mortal.drop()
      const reoffered = await again
      if (reoffered.type === 'entry' && reoffered.event.type === 'tool.called') attempts.push(reoffered.event.attempt)
      await survivor.command({ type: 'tool.claim', id: makeId('c'), session, call })
      await survivor.command({ type: 'tool.result', id: makeId('c'), session, call, output: 'instead' })
      expect((await survivor.ended(session, run)).text).toContain('instead')
    }
    expect(attempts).toHaveLength(20)
    survivor.drop()
  }, 30_000)
})
