// The page's stored values: unsent messages, drafts and the list of chats; also very long conversations, and keyboard
// navigation. In a real browser, with a real server.
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { writeLongSession } from './long-session.ts'
import { PageWorld } from './page-world.ts'

const LONG = 10_000

let world: PageWorld

beforeAll(async () => {
  world = await PageWorld.start({}, ({ data }) => writeLongSession(join(data, 'data'), 'long', LONG))
})
afterEach(() => world.leave())
afterAll(() => world.dispose())

describe('an offline message', () => {
  it('is sent once when its chat opens again, after the page and the server have restarted', async () => {
    const visitor = await world.come()
    const tab = await visitor.open(world.site)
    await tab.send('/demo count=3 rate=0')
    await tab.answer(0, 'completed')
    const address = tab.page.url()
    await world.server.kill()
    await tab.page.locator('.badge.lost').waitFor()
    await tab.send('/demo count=4 rate=0')
    await tab.send('/demo count=5 rate=0')
    await expect.poll(() => tab.page.getByText('Will be sent when you reconnect').count()).toBe(2)
    await tab.page.close()
    await world.server.start()

    // The list marks the chat; its messages are sent when the chat is opened.
    const later = await visitor.open(world.site)
    await later.page.getByRole('button', { name: 'Chats' }).click()
    await later.page.locator('dialog').getByText('Unsent message').waitFor()
    await later.page.locator('dialog').getByRole('link', { name: 'count=3' }).click()
    expect(later.page.url()).toBe(address)
    expect(await later.answer(1, 'completed')).toBe('0 1 2 3')
    expect(await later.answer(2, 'completed')).toBe('0 1 2 3 4')
    await later.page.reload()
    expect(await later.answer(2, 'completed')).toBe('0 1 2 3 4')
    const { state } = await world.join(later.session)
    expect(state.messages.map(({ text }) => text)).toEqual([3, 4, 5].map((count) => `/demo count=${count} rate=0`))
    expect(await stored(later.page)).toEqual([])
  })

  it('is not sent twice if the server accepted it and the page closed before the reply', async () => {
    const visitor = await world.come()
    const tab = await visitor.open(world.site)
    await tab.status('Live')
    // Later the page receives no frames from the server, but the server receives those of the page.
    let dropsFrames = false
    await tab.page.routeWebSocket(/\/v1\/ws/, (socket) => {
      const server = socket.connectToServer()
      server.onMessage((message) => {
        if (!dropsFrames) socket.send(message)
      })
    })
    await tab.page.reload()
    await tab.status('Live')
    const session = await world.join(tab.session)
    dropsFrames = true
    await tab.send('/demo count=6 rate=0')
    await expect.poll(() => session.state.messages.length).toBe(1)
    expect(await stored(tab.page)).toHaveLength(1)
    const address = tab.page.url()
    await tab.page.close()
    const again = await visitor.open(address)
    expect(await again.answer(0, 'completed')).toBe('0 1 2 3 4 5')
    await expect.poll(() => stored(again.page)).toEqual([])
    expect(await again.page.locator('.message').count()).toBe(1)
    expect(session.state.messages).toHaveLength(1)
  })
})

describe('a draft', () => {
  it('survives a reload, for each session', async () => {
    const tab = await (await world.come()).open(world.site)
    const box = tab.page.getByRole('textbox', { name: 'Message' })
    await box.fill('half a sen')
    const address = tab.page.url()
    await tab.page.getByRole('button', { name: 'New chat' }).click()
    expect(await box.inputValue()).toBe('')
    await tab.page.goto(address)
    expect(await box.inputValue()).toBe('half a sen')
  })
})

describe('the list of chats', () => {
  it('is a sidebar on a wide screen, is the same on every device, and renames and deletes', async () => {
    const visitor = await world.come({ viewport: { width: 1_300, height: 800 } })
    const tab = await visitor.open(world.site)
    const list = tab.page.getByRole('navigation', { name: 'Chats' })
    await tab.send('/demo count=1 rate=0')
    await tab.answer(0, 'completed')
    const first = tab.session
    await tab.page.getByRole('button', { name: 'New chat' }).click()
    await tab.send('/demo count=2 rate=0')
    await tab.answer(0, 'completed')
    const titles = async (): Promise<string[]> =>
      (await list.locator('.session-title').allTextContents()).filter((title) => /count=[12] /.test(title))
    await expect.poll(titles).toEqual(['/demo count=2 rate=0', '/demo count=1 rate=0'])
    // Another browser shows the same titles: the first messages.
    const other = await (await world.come({ viewport: { width: 1_300, height: 800 } })).open(world.site)
    await other.page.getByRole('link', { name: 'count=1' }).click()
    expect(await other.answer(0, 'completed')).toBe('0')
    expect(other.session).toBe(first)
    await other.page.getByRole('button', { name: 'Options for /demo count=2' }).click()
    const settings = other.page.getByRole('dialog')
    await settings.getByRole('textbox', { name: 'Title' }).fill('The second one')
    await settings.getByRole('button', { name: 'Rename' }).click()
    await tab.page.locator('h1').getByText('The second one').waitFor()
    await list.getByText('The second one').waitFor()
    await other.page.getByRole('button', { name: 'Options for The second one' }).click()
    await settings.getByRole('button', { name: 'Delete chat' }).click()
    await settings.getByRole('button', { name: 'Delete for everyone' }).click()
    await tab.page.getByText('This chat no longer exists').waitFor()
    await other.page.getByRole('link', { name: 'The second one' }).waitFor({ state: 'detached' })
    await list.getByText('The second one').waitFor({ state: 'detached' })
    expect(await tab.page.locator('.message').count()).toBe(0)
  })
})

describe('a conversation of ten thousand messages', () => {
  it('opens at its end, scrolls to its beginning, and streams like a short one', async () => {
    // The server's first read of this log takes some seconds, so another client opens it first.
    expect((await world.join('long')).state.messages).toHaveLength(LONG)
    const tab = await (await world.come()).open(`${world.site}?session=long`)
    await tab.status('Live')
    await tab.page.getByText(`Question ${LONG - 1}`, { exact: true }).waitFor()
    const box = tab.page.getByRole('region', { name: 'Conversation' })
    const turns = () => tab.page.locator('.turn').count()
    expect(await turns()).toBeLessThan(60)
    await box.focus()
    await tab.page.keyboard.press('Home')
    await box.getByText('Question 0', { exact: true }).waitFor()
    expect(await turns()).toBeLessThan(60)
    await tab.page.getByRole('button', { name: 'Jump to latest' }).click()
    await tab.page.getByText(`Question ${LONG - 1}`, { exact: true }).waitFor()
    await tab.send('/demo count=50 rate=200')
    const last = tab.page.locator('.answer').last()
    await last.getByText('46 47 48 49').waitFor()
    await expect.poll(() => tab.below()).toBeLessThan(2)
    expect(await turns()).toBeLessThan(60)
  })
})

describe('keyboard and motion', () => {
  it('Esc stops an answer, except in a dialog', async () => {
    const tab = await (await world.come()).open(world.site)
    await tab.send('/demo count=2000 rate=50')
    await tab.streams(0, '0 1 2 3')
    await tab.page.getByRole('button', { name: 'Chats' }).click()
    await tab.page.keyboard.press('Escape')
    await tab.page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(await tab.page.locator('.answer').getAttribute('data-status')).toBe('running')
    expect(await tab.page.getByRole('button', { name: 'Chats' }).evaluate((it) => it === document.activeElement)).toBe(
      true,
    )
    await tab.page.keyboard.press('Escape')
    await tab.answer(0, 'cancelled')
  })

  it('Tab reaches the link to the message box first, then the page in its order', async () => {
    const tab = await (await world.come()).open(world.site)
    await tab.status('Live')
    // The composer has the focus from the start, so move it before everything.
    await tab.page.evaluate(() => {
      document.body.tabIndex = -1
      document.body.focus()
    })
    const focused = () => tab.page.evaluate(() => document.activeElement?.textContent?.trim())
    await tab.page.keyboard.press('Tab')
    expect(await focused()).toBe('Skip to message box')
    const order: (string | undefined)[] = []
    for (let step = 0; step < 4; step += 1) {
      await tab.page.keyboard.press('Tab')
      order.push(await focused())
    }
    expect(order.slice(-3)).toEqual(['Chats', 'Share', 'New chat'])
    for (let step = 0; step < 4; step += 1) await tab.page.keyboard.press('Shift+Tab')
    await tab.page.keyboard.press('Enter')
    const box = tab.page.getByRole('textbox', { name: 'Message' })
    expect(await box.evaluate((it) => it === document.activeElement)).toBe(true)
  })

  it('nothing is animated if the user prefers reduced motion', async () => {
    const tab = await (await world.come({ reducedMotion: 'reduce' })).open(world.site)
    await tab.send('/demo count=2000 rate=50')
    await tab.streams(0, '0 1 2 3')
    expect(await tab.page.evaluate(() => document.getAnimations().length)).toBe(0)
  })
})

/** The stored keys of unsent messages. */
function stored(page: Page): Promise<string[]> {
  return page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('parley.outbox.')))
}
