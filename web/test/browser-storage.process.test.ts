// What the page keeps and finds again: messages that were not sent yet, drafts, recent sessions; conversations of any
// length; and its keys. In a real browser, on a real server.
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

describe('a message that was written offline', () => {
  it('is sent once when the page comes back, after the page and the server were gone', async () => {
    const visitor = await world.come()
    const tab = await visitor.open(world.site)
    await tab.say('/demo count=3 rate=0')
    await tab.answer(0, 'completed')
    const address = tab.page.url()
    await world.server.kill()
    await tab.page.locator('.badge.lost').waitFor()
    await tab.say('/demo count=4 rate=0')
    await tab.say('/demo count=5 rate=0')
    await expect.poll(() => tab.page.getByText('Will be sent when the connection is back').count()).toBe(2)
    await tab.page.close()
    await world.server.start()

    // Another session tells that something waits; the message itself goes out when its session is opened.
    const later = await visitor.open(world.site)
    await later.page.getByRole('button', { name: 'Sessions' }).click()
    await later.page.locator('dialog').getByText('Unsent message').waitFor()
    await later.page.locator('dialog').getByRole('link', { name: 'count=3' }).click()
    expect(later.page.url()).toBe(address)
    expect(await later.answer(1, 'completed')).toBe('0 1 2 3')
    expect(await later.answer(2, 'completed')).toBe('0 1 2 3 4')
    await later.page.reload()
    expect(await later.answer(2, 'completed')).toBe('0 1 2 3 4')
    const { state } = await world.join(later.session)
    expect(state.messages.map(({ text }) => text)).toEqual([3, 4, 5].map((count) => `/demo count=${count} rate=0`))
    expect(await kept(later.page)).toEqual([])
  })

  it('is not sent twice when the server had it, and the page was gone before it heard of that', async () => {
    const visitor = await world.come()
    const tab = await visitor.open(world.site)
    await tab.status('Live')
    // What the server says no longer arrives; what the page says does.
    let deaf = false
    await tab.page.routeWebSocket(/\/v1\/ws/, (socket) => {
      const server = socket.connectToServer()
      server.onMessage((message) => {
        if (!deaf) socket.send(message)
      })
    })
    await tab.page.reload()
    await tab.status('Live')
    const session = await world.join(tab.session)
    deaf = true
    await tab.say('/demo count=6 rate=0')
    await expect.poll(() => session.state.messages.length).toBe(1)
    expect(await kept(tab.page)).toHaveLength(1)
    const address = tab.page.url()
    await tab.page.close()
    const again = await visitor.open(address)
    expect(await again.answer(0, 'completed')).toBe('0 1 2 3 4 5')
    await expect.poll(() => kept(again.page)).toEqual([])
    expect(await again.page.locator('.message').count()).toBe(1)
    expect(session.state.messages).toHaveLength(1)
  })
})

describe('what is being written', () => {
  it('is there after a reload, for each session', async () => {
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

describe('the list of sessions', () => {
  it('stands beside the conversation where there is room, is the same on every device, and renames and deletes', async () => {
    const visitor = await world.come({ viewport: { width: 1_300, height: 800 } })
    const tab = await visitor.open(world.site)
    const list = tab.page.getByRole('navigation', { name: 'Sessions' })
    await tab.say('/demo count=1 rate=0')
    await tab.answer(0, 'completed')
    const first = tab.session
    await tab.page.getByRole('button', { name: 'New chat' }).click()
    await tab.say('/demo count=2 rate=0')
    await tab.answer(0, 'completed')
    const titles = async (): Promise<string[]> =>
      (await list.locator('.session-title').allTextContents()).filter((title) => /count=[12] /.test(title))
    await expect.poll(titles).toEqual(['/demo count=2 rate=0', '/demo count=1 rate=0'])
    // So does another browser: a session has the first words as its title.
    const other = await (await world.come({ viewport: { width: 1_300, height: 800 } })).open(world.site)
    await other.page.getByRole('link', { name: 'count=1' }).click()
    expect(await other.answer(0, 'completed')).toBe('0')
    expect(other.session).toBe(first)
    await other.page.getByRole('button', { name: 'More: /demo count=2' }).click()
    const settings = other.page.getByRole('dialog')
    await settings.getByRole('textbox', { name: 'Title' }).fill('The second one')
    await settings.getByRole('button', { name: 'Rename' }).click()
    await tab.page.locator('h1').getByText('The second one').waitFor()
    await list.getByText('The second one').waitFor()
    await other.page.getByRole('button', { name: 'More: The second one' }).click()
    await settings.getByRole('button', { name: 'Delete this session' }).click()
    await settings.getByRole('button', { name: 'Delete for everybody' }).click()
    await tab.page.getByText('This session is gone').waitFor()
    await other.page.getByRole('link', { name: 'The second one' }).waitFor({ state: 'detached' })
    await list.getByText('The second one').waitFor({ state: 'detached' })
    expect(await tab.page.locator('.message').count()).toBe(0)
  })
})

describe('a conversation of ten thousand messages', () => {
  it('is there at its end, is read from its beginning, and answers as a short one does', async () => {
    // A log that was never folded takes a server some seconds at first: somebody else is there already.
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
    await tab.say('/demo count=50 rate=200')
    const last = tab.page.locator('.answer').last()
    await last.getByText('46 47 48 49').waitFor()
    await expect.poll(() => tab.below()).toBeLessThan(2)
    expect(await turns()).toBeLessThan(60)
  })
})

describe('the keys', () => {
  it('stop an answer by Esc, from anywhere but a dialog', async () => {
    const tab = await (await world.come()).open(world.site)
    await tab.say('/demo count=2000 rate=50')
    await tab.speaks(0, '0 1 2 3')
    await tab.page.getByRole('button', { name: 'Sessions' }).click()
    await tab.page.keyboard.press('Escape')
    await tab.page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(await tab.page.locator('.answer').getAttribute('data-status')).toBe('running')
    expect(
      await tab.page.getByRole('button', { name: 'Sessions' }).evaluate((it) => it === document.activeElement),
    ).toBe(true)
    await tab.page.keyboard.press('Escape')
    await tab.answer(0, 'cancelled')
  })

  it('reach the message box first, then the page in its order', async () => {
    const tab = await (await world.come()).open(world.site)
    await tab.status('Live')
    // The composer has the focus from the start: begin before everything.
    await tab.page.evaluate(() => {
      document.body.tabIndex = -1
      document.body.focus()
    })
    const focused = () => tab.page.evaluate(() => document.activeElement?.textContent?.trim())
    await tab.page.keyboard.press('Tab')
    expect(await focused()).toBe('Skip to the message box')
    const order: (string | undefined)[] = []
    for (let step = 0; step < 4; step += 1) {
      await tab.page.keyboard.press('Tab')
      order.push(await focused())
    }
    expect(order.slice(-3)).toEqual(['Sessions', 'Share', 'New chat'])
    for (let step = 0; step < 4; step += 1) await tab.page.keyboard.press('Shift+Tab')
    await tab.page.keyboard.press('Enter')
    const box = tab.page.getByRole('textbox', { name: 'Message' })
    expect(await box.evaluate((it) => it === document.activeElement)).toBe(true)
  })

  it('are not needed: who asks for less motion gets none', async () => {
    const tab = await (await world.come({ reducedMotion: 'reduce' })).open(world.site)
    await tab.say('/demo count=2000 rate=50')
    await tab.speaks(0, '0 1 2 3')
    expect(await tab.page.evaluate(() => document.getAnimations().length)).toBe(0)
  })
})

/** What the page holds that is not known to be sent. */
function kept(page: Page): Promise<string[]> {
  return page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('parley.outbox.')))
}
