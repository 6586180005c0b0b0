// Versions of messages: edit, regenerate and switch, by mouse and by keyboard, with other users, and offline. In a real
// browser, with a real server.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { hasNoViolation } from './axe.ts'
import { type ChatTab, shoot, type Visitor } from './browser.ts'
import { PageWorld } from './page-world.ts'

let world: PageWorld

beforeAll(async () => {
  world = await PageWorld.start()
})
afterEach(() => world.leave())
afterAll(() => world.dispose())

const count = (numbers: number): string => `/demo count=${numbers} rate=0`
const editor = (tab: ChatTab) => tab.page.getByRole('textbox', { name: 'Edited text' })

/** The texts of the visible messages. */
const messages = (tab: ChatTab): Promise<string[]> => tab.page.locator('.message .bubble').allTextContents()

/** Two messages with their answers. */
async function conversation(visitor?: Visitor): Promise<ChatTab> {
  const tab = await (visitor ?? (await world.come())).open(world.site)
  await tab.send(count(2))
  await tab.answer(0, 'completed')
  await tab.send(count(3))
  await tab.answer(1, 'completed')
  return tab
}

async function edit(tab: ChatTab, at: number, text: string): Promise<void> {
  await tab.page.getByRole('button', { name: 'Edit', exact: true }).nth(at).click()
  await editor(tab).fill(text)
  await editor(tab).press('Enter')
}

describe('an edited message', () => {
  it('is answered in its position, and the conversation can continue from either version', async () => {
    const tab = await conversation()
    await edit(tab, 0, count(4))
    expect(await tab.answerTo(count(4), 'completed')).toBe('0 1 2 3')
    await expect.poll(() => messages(tab)).toEqual([count(4)])
    await tab.page.getByText('2 / 2').waitFor()
    await tab.page.getByRole('button', { name: 'Previous version' }).click()
    await expect.poll(() => messages(tab)).toEqual([count(2), count(3)])
    await tab.send(count(5))
    expect(await tab.answer(2, 'completed')).toBe('0 1 2 3 4')
    const { state } = await world.join(tab.session)
    const ids = state.messages.map(({ id }) => id)
    expect(state.messages.map(({ text, parent }) => [text, parent])).toEqual([
      [count(2), null],
      [count(3), ids[0]],
      [count(4), null],
      [count(5), ids[1]],
    ])
    // A page that opens shows the branch of the newest message.
    await tab.page.reload()
    await expect.poll(() => messages(tab)).toEqual([count(2), count(3), count(5)])
  })

  it('interrupts the streaming answer, and appears on other pages at once', async () => {
    const tab = await conversation()
    const other = await (await world.come()).open(tab.page.url())
    await other.answer(1, 'completed')
    await tab.send('/demo count=2000 rate=50')
    await other.streams(2, '5')
    await edit(tab, 1, count(4))
    for (const each of [tab, other]) {
      expect(await each.answerTo(count(4), 'completed')).toBe('0 1 2 3')
      await expect.poll(() => messages(each)).toEqual([count(2), count(4)])
    }
    await other.page.getByText('Showing version 2 of 2.').waitFor({ state: 'attached' })
    await other.page.getByRole('button', { name: 'Previous version' }).click()
    await other.answer(2, 'superseded')
    expect(await tab.page.getByText('2 / 2').count()).toBe(1)
    const { state } = await world.join(tab.session)
    expect(state.runs.get(state.messages[2]?.run ?? '')?.by).toBe(state.messages[3]?.author)
  })

  it('stays open while another user’s edit switches the branch for everyone', async () => {
    const tab = await conversation()
    await tab.page.getByRole('button', { name: 'Edit', exact: true }).nth(1).click()
    await editor(tab).fill('half a thou')
    const other = await world.join(tab.session)
    await other.edit(other.state.messages[0]?.id ?? '', count(7)).result()
    await tab.page.getByText('1 / 2').waitFor()
    expect(await editor(tab).inputValue()).toBe('half a thou')
    await editor(tab).press('Escape')
    await expect.poll(() => messages(tab)).toEqual([count(2), count(3)])
  })

  it('is stored while offline, and sent once when the page opens again', async () => {
    const visitor = await world.come()
    const tab = await conversation(visitor)
    await world.server.kill()
    await tab.page.locator('.badge.lost').waitFor()
    await edit(tab, 1, count(6))
    await tab.page.getByText('Will be sent when you reconnect').waitFor()
    await expect.poll(() => messages(tab)).toEqual([count(2), count(6)])
    const address = tab.page.url()
    await tab.page.close()
    await world.server.start()
    const later = await visitor.open(address)
    expect(await later.answerTo(count(6), 'completed')).toBe('0 1 2 3 4 5')
    await later.page.reload()
    await later.page.getByText('2 / 2').waitFor()
    const { state } = await world.join(tab.session)
    expect(state.messages.map(({ text, parent }) => [text, parent])).toEqual([
      [count(2), null],
      [count(3), state.messages[0]?.id],
      [count(6), state.messages[0]?.id],
    ])
  })
})

describe('an answer', () => {
  it('can be regenerated, and the previous one stays available', async () => {
    const tab = await conversation()
    await tab.page.getByRole('button', { name: 'Regenerate' }).first().click()
    await expect.poll(() => messages(tab)).toEqual([count(2)])
    await tab.answer(0, 'completed')
    await tab.page.getByText('2 / 2').waitFor()
    const { state } = await world.join(tab.session)
    expect(state.messages.map(({ parent }) => parent)).toEqual([null, state.messages[0]?.id, null])
    expect(state.messages[2]?.content).toEqual(state.messages[0]?.content)
  })
})

describe('by keyboard', () => {
  it('an edit can be started, cancelled and sent, and the focus stays', async () => {
    const tab = await conversation()
    const button = tab.page.getByRole('button', { name: 'Edit', exact: true }).nth(1)
    await button.focus()
    await tab.page.keyboard.press('Enter')
    await expect.poll(() => editor(tab).evaluate((box) => box === document.activeElement)).toBe(true)
    await tab.page.keyboard.type(' never mind')
    await tab.page.keyboard.press('Escape')
    await expect.poll(() => button.evaluate((own) => own === document.activeElement)).toBe(true)
    await expect.poll(() => messages(tab)).toEqual([count(2), count(3)])

    await tab.page.keyboard.press('Enter')
    await tab.page.keyboard.press('End')
    await tab.page.keyboard.press('Shift+Enter')
    await tab.page.keyboard.type('and more')
    await tab.page.keyboard.press('Enter')
    await expect.poll(() => messages(tab)).toEqual([count(2), `${count(3)}\nand more`])
    await tab.answer(1, 'completed')
    const turn = tab.page.locator('.turn').nth(1)
    await expect.poll(() => turn.evaluate((own) => own.contains(document.activeElement))).toBe(true)

    // The buttons keep the focus from the first version to the last.
    const [back, on] = ['Previous version', 'Next version'].map((name) => tab.page.getByRole('button', { name }))
    await back?.focus()
    await tab.page.keyboard.press('Enter')
    await tab.page.getByText('1 / 2').waitFor()
    expect(await back?.evaluate((own) => own === document.activeElement)).toBe(true)
    expect(await back?.getAttribute('aria-disabled')).toBe('true')
    await tab.page.keyboard.press('Enter')
    await tab.page.keyboard.press('Tab')
    expect(await on?.evaluate((own) => own === document.activeElement)).toBe(true)
    await tab.page.keyboard.press('Space')
    await tab.page.getByText('2 / 2').waitFor()
    await tab.page.getByText('Showing version 2 of 2.').waitFor({ state: 'attached' })
  })

  it('an input method takes its Enter and Escape, in the order of Chromium and of Safari', async () => {
    const tab = await conversation()
    await tab.page.getByRole('textbox', { name: 'Message' }).fill('にほんご')
    await tab.page.getByRole('button', { name: 'Edit', exact: true }).nth(1).click()
    await editor(tab).fill('日本')
    for (const box of [tab.page.getByRole('textbox', { name: 'Message' }), editor(tab)]) {
      const taken = await box.evaluate((element) => {
        const press = (key: string, isComposing: boolean): boolean =>
          element.dispatchEvent(
            new KeyboardEvent('keydown', { key, keyCode: 229, isComposing, bubbles: true, cancelable: true }),
          )
        const compose = (type: string): boolean =>
          element.dispatchEvent(new CompositionEvent(type, { bubbles: true, data: '日本' }))
        return ['Enter', 'Escape'].flatMap((key) => {
          compose('compositionstart')
          const inChromium = press(key, true)
          compose('compositionend')
          compose('compositionstart')
          compose('compositionend')
          const inSafari = press(key, false)
          return [inChromium, inSafari]
        })
      })
      expect(taken).toEqual([true, true, true, true])
    }
    expect(await tab.page.getByRole('textbox', { name: 'Message' }).inputValue()).toBe('にほんご')
    expect(await editor(tab).inputValue()).toBe('日本')
    await editor(tab).press('Enter')
    await expect.poll(() => messages(tab)).toEqual([count(2), '日本'])
  })
})

describe('versions and the edit box', () => {
  it.each([
    ['light', { colorScheme: 'light' as const }],
    ['phone', { colorScheme: 'dark' as const, viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }],
  ])('are accessible: %s', async (name, options) => {
    const tab = await (await world.come(options)).open(world.site)
    await tab.send(count(2))
    await tab.answer(0, 'completed')
    await tab.page.getByRole('button', { name: 'Regenerate' }).click()
    await tab.page.getByText('2 / 2').waitFor()
    await tab.answer(0, 'completed')
    await tab.send(count(3))
    await tab.answer(1, 'completed')
    await tab.page.getByRole('button', { name: 'Edit', exact: true }).nth(1).click()
    await editor(tab).fill('How is the log stored,\nand where?')
    await hasNoViolation(tab.page)
    await shoot(tab.page, `versions-${name}`)
    expect(await tab.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)).toBeLessThanOrEqual(
      0,
    )
    await editor(tab).press('Escape')
  })
})
