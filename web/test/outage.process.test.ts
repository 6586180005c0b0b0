// The page, and a server that is away for ten seconds. Longer and more outages run in `npm run test:chaos`.
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { launch } from './browser.ts'
import { OutageSite } from './outage-suite.ts'

let browser: Browser
let site: OutageSite

beforeAll(async () => {
  browser = await launch()
  site = await OutageSite.open(browser, 2)
})
afterAll(async () => {
  await site.close()
  await browser.close()
})

it('after an outage of 10 s, all tabs are live over a WebSocket, and so is a new one', async () => {
  expect(await site.outage(10)).toHaveLength(2)
})
