// What people do with `useChat` in Chromium, while the network is cut: reloads, a second tab, stop, approvals and tools of
// the page. A short variant runs with all tests, a long one with `npm run test:chaos`.
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Files, Middlebox } from '../../client/test/middlebox.ts'
import { bundledPage } from '../../web/test/bundled-page.ts'
import { PageWorld } from '../../web/test/page-world.ts'

export interface Size {
  /** Answers with cuts, and milliseconds between the cuts. */
  readonly answers: number
  readonly cutMs: number
  readonly tokens: number
}

export function chatPageSuite({ answers, cutMs, tokens }: Size): void {
  let world: PageWorld
  let box: Middlebox
  let names = 0

  beforeAll(async () => {
    world = await PageWorld.start({ PARLEY_ANONYMOUS: 'yes' })
    box = await Middlebox.open(world.server.port)
    const pages = [6, 7].map((version) =>
      bundledPage(`/chat-${version}.html`, new URL(`chat-app-${version}.ts`, import.meta.url)),
    )
    const files = await Promise.all(pages)
    // Both bundles may have files of the same name, but each has its own entry.
    box.files = (path) => files.reduce<ReturnType<Files>>((found, file) => found ?? file(path), undefined)
  })
  afterEach(() => world.leave())
  afterAll(async () => {
    await box.close()
    await world.dispose()
  })

  function counted(count: number): string {
    return Array.from({ length: count }, (_, i) => String(i)).join(' ')
  }

  describe.each([6, 7])('useChat of ai %s', (version) => {
    const newChat = (): string => {
      names += 1
      return `${box.url}/chat-${version}.html?session=use_chat_${names}`
    }
    const open = async (url: string): Promise<Page> => {
      const visitor = await world.come()
      const { page } = await visitor.open(url)
      await page.waitForFunction(() => window.chat?.current !== undefined)
      return page
    }
    const send = (page: Page, text: string): Promise<void> =>
      page.evaluate((words) => void window.chat.current?.sendMessage({ text: words }), text)
    const shows = (page: Page, at: number, text: string): Promise<void> =>
      page.locator('article').nth(at).filter({ hasText: text }).waitFor()
    const ready = (page: Page): Promise<void> => page.locator('main[data-status=ready]').waitFor()
    /** The texts of the answers, once the chat is ready and has as many. */
    const texts = async (page: Page, count: number): Promise<string[]> => {
      const done = page.locator('article[data-role=assistant]')
      await expect.poll(() => done.count(), { timeout: 60_000 }).toBe(count)
      await ready(page)
      const all = await done.all()
      return Promise.all(all.map(async (each) => (await each.locator('.text').allTextContents()).join('')))
    }
    const report = (page: Page): Promise<{ requests: number; errors: string[] }> =>
      page.evaluate(() => ({ requests: window.chat.requests, errors: window.chat.errors }))

    it(`shows ${answers} answers whole, in two tabs, while the network is cut`, async () => {
      const url = newChat()
      const [page, tab] = [await open(url), await open(url)]
      const timer = setInterval(() => box.cut(), cutMs)
      try {
        for (let at = 0; at < answers; at += 1) {
          await send(page, `/demo count=${tokens} rate=${tokens}`)
          await page
            .locator('article')
            .nth(2 * at + 1)
            .locator('.text[data-state=done]')
            .waitFor({ timeout: 60_000 })
          await ready(page)
        }
      } finally {
        clearInterval(timer)
      }
      const whole = Array.from({ length: answers }, () => counted(tokens))
      expect(await texts(page, answers)).toEqual(whole)
      expect(await texts(tab, answers)).toEqual(whole)
      // A stream that is open when nothing is left to say would show as an unfinished part.
      for (const each of [page, tab]) expect(await each.locator('.text[data-state=streaming]').count()).toBe(0)
      expect(await report(page)).toEqual({ requests: answers, errors: [] })
      expect(await report(tab)).toEqual({ requests: 0, errors: [] })
    })

    it('continues after reloads in the middle of an answer', async () => {
      const page = await open(newChat())
      await send(page, '/demo count=100 rate=40')
      for (const words of ['0 1 2', ' 30', ' 60']) {
        await shows(page, 1, words)
        await page.reload()
      }
      await shows(page, 1, ' 99')
      expect(await texts(page, 1)).toEqual([counted(100)])
      expect(await report(page)).toEqual({ requests: 0, errors: [] })
    })

    it('stops in the middle, for both tabs, and sends again', async () => {
      const url = newChat()
      const [page, tab] = [await open(url), await open(url)]
      await send(page, '/demo count=2000 rate=40')
      await shows(page, 1, '0 1 2 3')
      await shows(tab, 1, '0 1 2 3')
      // The second tab resumed the answer, and can stop it as well.
      await tab.evaluate(() => window.chat.current?.stop())
      await ready(page)
      await send(page, '/demo count=3 rate=0')
      const all = await texts(page, 2)
      expect(all[1]).toBe(counted(3))
      expect(await texts(tab, 2)).toEqual(all)
      expect(counted(2000).startsWith(all[0] ?? '-')).toBe(true)
      expect(await report(page)).toEqual({ requests: 2, errors: [] })
    })

    it('approves in one tab what another one sent, and runs tools of the page', async () => {
      const url = newChat()
      const [page, tab] = [await open(url), await open(url)]
      await page.evaluate(() => {
        document.title = 'Title'
      })
      await send(page, '/demo tool=erase input={} count=3 rate=0')
      await tab.getByRole('button', { name: 'Approve' }).click()
      await shows(page, 1, '0 1 2')
      await send(page, '/demo tool=ask_user input={} count=3 rate=0')
      // Each tab offers the tool, and one of them has claimed the call.
      const asked = [page, tab].map(async (each) => {
        const button = each.getByRole('button', { name: 'Big' })
        await button.waitFor()
        return button
      })
      await (await Promise.any(asked)).click()
      await shows(page, 3, 'big')
      await send(page, '/demo tool=page_title input={} count=3 rate=0')
      await shows(page, 5, '0 1 2')
      const all = await texts(page, 3)
      expect(all.map((text) => text.endsWith(counted(3)))).toEqual([true, true, true])
      expect(await texts(tab, 3)).toEqual(all)
      expect((await report(page)).errors).toEqual([])
      expect(await page.locator('code[data-state=output-available]').count()).toBe(3)
    })
  })
}
