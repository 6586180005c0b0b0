// The page behind a proxy that blocks WebSockets: it falls back to another transport and shows which.
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
})
