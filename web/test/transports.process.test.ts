// The page where no WebSocket gets through: it works all the same, and says how it is connected.
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { Middlebox } from '../../client/test/middlebox.ts'
import { launch, Visitor } from './browser.ts'

let server: ServerProcess
let browser: Browser
let box: Middlebox

beforeAll(async () => {
  ;[server, browser] = await Promise.all([ServerProcess.start(), launch()])
  box = await Middlebox.open(server.port, { upgrades: 'refuse' })
})
afterAll(async () => {
  await browser.close()
  await box.close()
  await server.dispose()
})

it('the page streams, stops an answer, and says that it does so over SSE', async () => {
  const visitor = await Visitor.come(browser)
  const tab = await visitor.open(`${box.url}/`)
  await tab.status('Live')
  await tab.page.locator('.badge').filter({ hasText: 'over SSE' }).waitFor()
  await tab.say('/demo count=60 rate=60')
  expect(await tab.answer(0, 'completed')).toBe(Array.from({ length: 60 }, (_, i) => i).join(' '))
  await tab.say('/demo count=2000 rate=50')
  await tab.speaks(1, '0 1 2 3')
  await tab.page.getByRole('button', { name: 'Stop' }).click()
  await tab.answer(1, 'cancelled')
  // Chromium itself tells of the upgrade that was refused, and of nothing else.
  expect(visitor.problems.filter((text) => !text.includes('WebSocket connection to'))).toEqual([])
})
