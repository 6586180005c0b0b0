// Experiment assignment: with authentication, the user decides the variant on every transport, not the client id.
import type { Event } from '@parley/protocol'
import { SignJWT } from 'jose'
import { afterEach, expect, it } from 'vitest'
import { Experiment } from '../../experiment/experiment.ts'
import type { ExperimentPlan } from '../../experiment/experiment-plan.ts'
import { helloRoute } from '../session-http/hello.ts'
import { TransportHarness } from './transport-harness.ts'

const SECRET = 'a-secret-of-at-least-32-characters!!'
const PLAN: ExperimentPlan = {
  name: 'x',
  variants: [
    { name: 'a', weight: 1 },
    { name: 'b', weight: 1, doors: ['poll'] },
  ],
}
const USERS = ['ann', 'bob', 'cid', 'dora', 'eve', 'fred']

let harness: TransportHarness
afterEach(() => harness.close())

async function tokenOf(user: string): Promise<string> {
  return new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setSubject(user).sign(Buffer.from(SECRET))
}

it('depends on the user on every transport, whatever the client id, and is recorded in each message', async () => {
  const routes = () => [helloRoute({ node: 'n', heartbeatMs: 15_000 })]
  harness = await TransportHarness.open({ auth: { jwtSecret: SECRET }, experiment: PLAN, routes })
  const expected = new Experiment(PLAN, true)
  for (const [number, user] of USERS.entries()) {
    const token = await tokenOf(user)
    const client = await harness.connect()
    client.send({ type: 'hello', token, client: { name: 'c', version: '1', id: `cli_${number}` } })
    const { experiment } = await client.next('welcome')
    expect(experiment).toEqual(expected.assign(user, undefined))

    const headers = { Authorization: `Bearer ${token}`, 'Parley-Client': `cli_${number + 1}` }
    const hello = await harness.fetch('/v1/hello', { headers })
    expect(((await hello.json()) as { readonly experiment: unknown }).experiment).toEqual(experiment)

    const session = `s_${user}`
    client.send({ type: 'attach', id: 'a', session }, { type: 'send', id: 'm', session, content: 'hi' })
    await client.next('ok', 'm')
    const init = { method: 'POST', body: '{"content": "and hi"}' }
    const posted = { ...headers, 'Content-Type': 'application/json', Prefer: 'respond-async' }
    await harness.fetch(`/v1/sessions/${session}/messages`, { ...init, headers: posted })
    const messages = () => client.entries(session).flatMap(({ event }) => (isMessage(event) ? [event] : []))
    await client.when(() => messages().length === 2)
    expect(messages().map(({ variant }) => variant)).toEqual([experiment?.variant, experiment?.variant])
  }
})

it('is absent without an experiment', async () => {
  harness = await TransportHarness.open({ routes: () => [helloRoute({ node: 'n', heartbeatMs: 15_000 })] })
  const client = await harness.connect()
  client.send({ type: 'hello', client: { name: 'c', version: '1', id: 'cli_1' } })
  expect(await client.next('welcome')).not.toHaveProperty('experiment')
  const hello = await harness.fetch('/v1/hello', { headers: { 'Parley-Client': 'cli_1' } })
  expect(await hello.json()).not.toHaveProperty('experiment')
})

function isMessage(event: Event): event is Extract<Event, { type: 'message' }> {
  return event.type === 'message'
}
