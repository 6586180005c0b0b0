// A server that is away for a while: all tabs of the page reconnect over a WebSocket, and a new tab opens with one.
import { setTimeout } from 'node:timers/promises'
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import type { ChatTab } from './browser.ts'
import { PageWorld } from './page-world.ts'

/** @param outages in seconds @param count of tabs */
export function testOutages(outages: readonly number[], count: number): void {
  let world: PageWorld

  beforeAll(async () => {
    world = await PageWorld.start()
  })
  afterEach(() => world.leave())
  afterAll(() => world.dispose())

  it.each(outages)(
    'after an outage of %i s, all tabs are live over a WebSocket, and so is a new one',
    async (seconds) => {
      const visitor = await world.come()
      const tabs = await Promise.all(Array.from({ length: count }, () => visitor.open(world.site)))
      await Promise.all(tabs.map(isLive))
      const [first] = tabs as [ChatTab]
      await expect.poll(() => remembered(first.page)).toMatch(/^websocket /)
      await world.server.kill()
      await Promise.all(tabs.map(({ page }) => page.locator('.badge').filter({ hasNotText: 'Live' }).waitFor()))
      await setTimeout(seconds * 1_000)
      await world.server.start()
      await Promise.all(tabs.map(isLive))
      await isLive(await visitor.open(world.site))
      expect(await remembered(first.page)).toMatch(/^websocket /)
    },
  )
}

/** The badge names only other transports. */
async function isLive(tab: ChatTab): Promise<void> {
  await tab.page.locator('.badge').filter({ hasText: 'Live', hasNotText: 'over' }).waitFor()
}

function remembered(page: Page): Promise<string> {
  return page.evaluate(() => localStorage.getItem(`parley.door:${location.origin}`) ?? '')
}
