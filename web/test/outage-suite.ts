// OutageSite: a server that goes away for a while, and the tabs of one user that reconnect to it. It measures how long each
// tab needs until it is live over a WebSocket again.
import { setTimeout } from 'node:timers/promises'
import type { Browser } from 'playwright-core'
import { expect, vi } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { type ChatTab, Visitor } from './browser.ts'

/** A tab that is not live after so many milliseconds never will be. */
const GIVE_UP_MS = 90_000

declare const window: {
  /** Unix milliseconds since when the page is live over a WebSocket; 0 if it is not. */
  readonly liveAt: number
}

export class OutageSite {
  readonly #url: string
  readonly #server: ServerProcess
  readonly #visitor: Visitor
  readonly #tabs: ChatTab[] = []

  private constructor(address: string, server: ServerProcess, visitor: Visitor) {
    this.#url = `http://${address}:${server.port}/`
    this.#server = server
    this.#visitor = visitor
  }

  /** @param count of tabs @param address of the server, a loopback one */
  static async open(browser: Browser, count: number, address = '127.0.0.1'): Promise<OutageSite> {
    const server = await ServerProcess.start({ PARLEY_DRAIN: '1', PARLEY_HOST: address })
    const site = new OutageSite(address, server, await Visitor.come(browser))
    try {
      await site.#recordBadges()
      for (let i = 0; i < count; i += 1) site.#tabs.push(await site.#open())
      await vi.waitFor(async () => expect(await site.#remembered()).toMatch(/^websocket /), 30_000)
    } catch (error) {
      await server.dispose()
      throw error
    }
    return site
  }

  /**
   * Ends the server and starts it again. All its tabs become live, a new tab too, and all use WebSockets.
   * @param signal how the server ends
   * @returns the milliseconds from the server's return until each tab is live
   */
  async outage(seconds: number, signal: 'SIGTERM' | 'SIGKILL' = 'SIGKILL'): Promise<readonly number[]> {
    const away = Promise.all(
      this.#tabs.map(({ page }) => page.locator('.badge').filter({ hasNotText: 'Live' }).waitFor()),
    )
    await Promise.all([signal === 'SIGTERM' ? this.#server.stop() : this.#server.kill(), away])
    await setTimeout(seconds * 1_000)
    await this.#server.start()
    const startedAt = Date.now()
    const times = await Promise.all(this.#tabs.map(async (tab) => (await liveSince(tab)) - startedAt))
    const fresh = await this.#open()
    await fresh.page.close()
    expect(await this.#remembered()).toMatch(/^websocket /)
    return times
  }

  /** Fails if a page had a problem. */
  async close(): Promise<void> {
    // A server that stops refuses new connections.
    this.#visitor.excuse('503')
    const { problems } = this.#visitor
    await this.#visitor.leave()
    await this.#server.dispose()
    expect(problems).toEqual([])
  }

  async #open(): Promise<ChatTab> {
    const tab = await this.#visitor.open(this.#url)
    await liveSince(tab)
    return tab
  }

  #remembered(): Promise<string> {
    const [first] = this.#tabs
    if (first === undefined) throw new Error('The site has no tabs.')
    return first.page.evaluate(() => localStorage.getItem(`parley.door:${location.origin}`) ?? '')
  }

  async #recordBadges(): Promise<void> {
    await this.#visitor.context.addInitScript(() => {
      let liveAt = 0
      Object.defineProperty(window, 'liveAt', { get: () => liveAt })
      new MutationObserver(() => {
        const text = document.querySelector('.badge')?.textContent ?? ''
        // The badge names only other transports: "Live over SSE".
        if (!text.startsWith('Live') || text.includes('over')) liveAt = 0
        else if (liveAt === 0) liveAt = Date.now()
      }).observe(document, { subtree: true, childList: true, characterData: true })
    })
  }
}

/** Waits until the tab is live over a WebSocket. @returns Unix milliseconds */
async function liveSince(tab: ChatTab): Promise<number> {
  const { page } = tab
  await page.locator('.badge').filter({ hasText: 'Live', hasNotText: 'over' }).waitFor({ timeout: GIVE_UP_MS })
  // It may have lost its connection again meanwhile.
  return (await page.evaluate(() => window.liveAt)) || liveSince(tab)
}
