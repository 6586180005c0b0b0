// People over plain HTTP, by the SDK and a real server that wants tokens: a token whose time is over is waited for, and nothing
// is lost meanwhile.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../server/bench/server-process.ts'
import { SECRET, tokenOf } from '../web/test/token.ts'
import type { ClientOptions } from './client-options.ts'
import { ParleyClient } from './parley-client.ts'
import { until } from './test/until.ts'

let server: ServerProcess
const clients: ParleyClient[] = []

beforeAll(async () => {
  server = await ServerProcess.start({ PARLEY_JWT_SECRET: SECRET, PARLEY_JWT_CLOCK_SKEW: '0' })
})
afterAll(() => server.dispose())
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
})

function clientOf(options: Partial<ClientOptions>): ParleyClient {
  const client = new ParleyClient({ url: server.url, ...options })
  clients.push(client)
  return client
}

describe.each(['websocket', 'sse', 'long-poll'] as const)('over %s', (transport) => {
  it('a token whose time is over is waited for, and all goes on with another one', async () => {
    let token = tokenOf('ada', 'Ada', 2)
    const client = clientOf({ transport, token: () => token, whenTurnedAway: 'wait' })
    const session = client.session(`t_${transport}`)
    await until(session, (view) => view.status === 'live')
    await session.send('/demo count=3 rate=0').result()
    await until(client, (state) => state.turnedAway === true)
    expect(session.state).toMatchObject({ status: 'offline', error: undefined })
    const reply = session.send('/demo count=4 rate=0')
    token = tokenOf('ada', 'Ada')
    client.renew()
    expect((await reply.result()).text).toBe('0 1 2 3')
    expect([...session.state.runs.values()].map(({ text }) => text)).toEqual(['0 1 2', '0 1 2 3'])
    expect(client.state).toMatchObject({ status: 'open', transport: { door: transport } })
  })
})
