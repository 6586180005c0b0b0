// Tests the SDK over each transport against a real server that requires access tokens: it waits with an expired token
// without losing anything, and shows presence.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { SECRET, tokenOf } from '../../web/test/token.ts'
import type { ClientOptions } from '../client-options.ts'
import { ParleyClient } from '../parley-client.ts'
import { until } from './until.ts'

let server: ServerProcess
const clients: ParleyClient[] = []

beforeAll(async () => {
  server = await ServerProcess.start({ PARLEY_JWT_SECRET: SECRET, PARLEY_JWT_CLOCK_SKEW: '0' })
})
// Not after each test, because the tests run concurrently.
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()))
  await server.dispose()
})

function clientOf(options: Partial<ClientOptions>): ParleyClient {
  const client = new ParleyClient({ url: server.url, ...options })
  clients.push(client)
  return client
}

describe.concurrent.each(['websocket', 'sse', 'long-poll'] as const)('over %s', (transport) => {
  it('waits with an expired access token, and continues with a fresh one', async () => {
    let token = tokenOf('ada', 'Ada', 5)
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

  // Regression: over server-sent events no members were visible, because the SDK ignored the event.
  it('shows members that join, type and leave, and is shown to them', async () => {
    const token = tokenOf('ada', 'Ada')
    const [watching, other] = [clientOf({ transport, token }), clientOf({ token })]
    const session = watching.session(`p_${transport}`)
    await until(session, (view) => view.status === 'live')
    session.show({ device: 'phone' })
    const beside = other.session(session.id)
    await until(session.presence, ({ count }) => count === 2)
    const seen = await until(beside.presence, ({ members }) => members.some(({ device }) => device === 'phone'))
    expect(seen).toMatchObject({ count: 2, members: { length: 2 } })
    beside.show({ typing: true })
    const { members } = await until(session.presence, (view) => view.members.some(({ state }) => state.typing === true))
    expect(members[0]).toMatchObject({ user: 'ada', name: 'Ada', connection: other.state.connection })
    beside.show({})
    await until(session.presence, (view) => view.members.every(({ state }) => state.typing !== true))
    await other.close()
    await until(session.presence, ({ count }) => count === 1)
  })
})
