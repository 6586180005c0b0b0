// A stream or a pending request ends when its access token expires.
import { SignJWT } from 'jose'
import { afterEach, expect, it } from 'vitest'
import { HttpHarness } from '../test/http-harness.ts'
import { onAbort } from './http-request.ts'
import type { Route } from './route.ts'

const jwtSecret = 'a secret that is long enough for HS256'
const endless: Route = {
  method: 'GET',
  path: '/endless',
  handle(exchange) {
    exchange.stream(200, { 'Content-Type': 'text/event-stream' }).write('data: begun\n\n')
  },
}

const patient: Route = {
  method: 'GET',
  path: '/patient',
  async handle(exchange) {
    await new Promise<void>((resolve) => onAbort(exchange.request.signal, resolve))
    exchange.reply(200, { secret: 'sent' })
  },
}

let harness: HttpHarness

afterEach(() => harness.close())

function tokenOf(until: number): Promise<string> {
  const token = new SignJWT({ sub: 'ann' }).setProtectedHeader({ alg: 'HS256' }).setExpirationTime(until)
  return token.sign(new TextEncoder().encode(jwtSecret))
}

it('cuts a stream when its access token expires, and rejects the expired token', async () => {
  harness = await HttpHarness.open([endless], { auth: { jwtSecret, clockSkew: 0 } })
  const until = Math.floor(Date.now() / 1000) + 2
  const headers = { Authorization: `Bearer ${await tokenOf(until)}` }
  const answer = await harness.fetch('/endless', { headers })
  expect(answer.status).toBe(200)
  await expect(answer.text()).rejects.toThrow()
  expect(Date.now()).toBeGreaterThanOrEqual(until * 1000 - 1)
  expect(harness.transport.streams).toBe(0)
  expect((await harness.fetch('/endless', { headers })).status).toBe(401)
})

it('answers a pending request with 401 when its access token expires', async () => {
  harness = await HttpHarness.open([patient], { auth: { jwtSecret, clockSkew: 0 } })
  const until = Math.floor(Date.now() / 1000) + 2
  const answer = await harness.fetch('/patient', { headers: { Authorization: `Bearer ${await tokenOf(until)}` } })
  expect(answer.status).toBe(401)
  expect(await answer.json()).toMatchObject({ code: 'unauthenticated' })
  expect(harness.transport.requests).toBe(0)
})
