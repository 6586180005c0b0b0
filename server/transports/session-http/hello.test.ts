// GET /v1/hello: the user of the access token, and whether the node accepts clients.
import { LIMITS, WelcomeAnswer } from '@parley/protocol'
import { SignJWT } from 'jose'
import { afterEach, describe, expect, it } from 'vitest'
import { HttpHarness } from '../test/http-harness.ts'
import { helloRoute } from './hello.ts'

const SECRET = 'a-secret-of-at-least-32-characters!!'
const ROUTES = [helloRoute({ node: 'n7', heartbeatMs: 15_000 })]

let harness: HttpHarness

afterEach(() => harness.close())

describe('GET /v1/hello', () => {
  it('returns the user of the access token, and the node', async () => {
    harness = await HttpHarness.open(ROUTES, { auth: { jwtSecret: SECRET } })
    const token = await new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setSubject('ada').sign(Buffer.from(SECRET))
    const headers = { Authorization: `Bearer ${token}`, 'Parley-Connection': 'con_1' }
    const answer = await harness.fetch('/v1/hello', { headers })
    expect(WelcomeAnswer.parse(await answer.json())).toMatchObject({
      type: 'welcome',
      connection: 'con_1',
      user: 'ada',
      node: 'n7',
      heartbeatMs: 15_000,
      limits: LIMITS,
    })
  })

  it('refuses a client without an access token if authentication is configured', async () => {
    harness = await HttpHarness.open(ROUTES, { auth: { jwtSecret: SECRET } })
    const answer = await harness.fetch('/v1/hello')
    expect([answer.status, await answer.json()]).toMatchObject([401, { code: 'unauthenticated' }])
  })

  it('refuses clients with `going_away` while the node drains', async () => {
    harness = await HttpHarness.open(ROUTES)
    expect((await harness.fetch('/v1/hello')).status).toBe(200)
    harness.transport.drain('restart', 8_000)
    const answer = await harness.fetch('/v1/hello')
    expect([answer.status, await answer.json()]).toMatchObject([503, { code: 'going_away', retryable: true }])
    // A client behind a load balancer gets another node at once, however long this one drains.
    const answers = await Promise.all(Array.from({ length: 40 }, () => harness.fetch('/v1/hello')))
    const waits = answers.map(({ headers }) => headers.get('retry-after'))
    expect([...new Set(waits)].sort()).toEqual(['0', '1'])
  })
})
