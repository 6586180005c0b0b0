// The page behind a proxy that blocks WebSockets: it falls back to another transport and shows which. And a page without the
// SDK, whose connection breaks: the browser repeats its POST on its own.
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { Middlebox } from '../../client/test/middlebox.ts'
import { launch, Visitor } from './browser.ts'

let server: ServerProcess
let browser: Browser
let proxy: Middlebox

beforeAll(async () => {
  ;[server, browser] = await Promise.all([ServerProcess.start(), launch()])
  proxy = await Middlebox.open(server.port, { upgrades: 'refuse' })
})
afterAll(async () => {
  await browser.close()
  await proxy.close()
  await server.dispose()
})

const PATH = '/page.html'
const HTML = '<!doctype html><link rel="icon" href="data:,"><title>A page</title>'

it('the page streams and stops an answer over SSE, and shows the transport', async () => {
  const visitor = await Visitor.come(browser)
  const tab = await visitor.open(`${proxy.url}/`)
  await tab.status('Live')
  await tab.page.locator('.badge').filter({ hasText: 'over SSE' }).waitFor()
  await tab.send('/demo count=60 rate=60')
  expect(await tab.answer(0, 'completed')).toBe(Array.from({ length: 60 }, (_, i) => i).join(' '))
  await tab.send('/demo count=2000 rate=50')
  await tab.streams(1, '0 1 2 3')
  await tab.page.getByRole('button', { name: 'Stop' }).click()
  await tab.answer(1, 'cancelled')
  // Chromium logs the refused upgrade.
  expect(visitor.problems.filter((text) => !text.includes('WebSocket connection to'))).toEqual([])
  await visitor.leave()
})

it('a message that the browser sends twice has one answer, and the session has it once', async () => {
  proxy.files = (path) => (path === PATH ? { type: 'text/html', body: HTML } : undefined)
  const page = await (await browser.newContext()).newPage()
  await page.goto(`${proxy.url}${PATH}`)
  const path = '/v1/sessions/twice'
  const { commands } = proxy.seen
  const answering = page.evaluate(async (url) => {
    // The connection of this request is used again.
    await (await fetch('/healthz')).text()
    const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': 'only-once' }
    const body = JSON.stringify({ content: '/demo count=60 rate=30' })
    const answer = await fetch(`${url}/messages`, { method: 'POST', headers, body })
    const isRepeated = answer.headers.get('Idempotent-Replayed') === 'true'
    return { status: answer.status, isRepeated, result: (await answer.json()) as { run: string; text: string } }
  }, path)
  const stored = async (): Promise<readonly SnapshotMessage[]> => {
    const answer = await fetch(`http://127.0.0.1:${server.port}${path}`)
    return answer.ok ? ((await answer.json()) as { messages: SnapshotMessage[] }).messages : []
  }
  await expect.poll(async () => (await stored()).at(-1)?.text).toContain('0 1')
  proxy.cut()
  const { status, isRepeated, result } = await answering
  expect({ status, isRepeated, commands: proxy.seen.commands - commands }).toEqual({
    status: 200,
    isRepeated: true,
    commands: 2,
  })
  expect(result.text).toBe(Array.from({ length: 60 }, (_, i) => i).join(' '))
  expect((await stored()).map(({ role, run }) => [role, run])).toEqual([
    ['user', result.run],
    ['assistant', result.run],
  ])
})

interface SnapshotMessage {
  readonly role: 'user' | 'assistant'
  readonly run: string
  readonly text?: string
}
