// Limits as a user meets them: a budget that runs low, stops an answer and refuses the next message; and an access
// token that expires while an answer streams and the user types.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { hasNoViolation } from './axe.ts'
import { type ChatTab, shoot } from './browser.ts'
import { PageWorld } from './page-world.ts'
import { SECRET, tokenOf } from './token.ts'

const PHONE = { width: 360, height: 740 }
const WIDE = { width: 1_000, height: 720 }

let world: PageWorld

beforeAll(async () => {
  world = await PageWorld.start({
    PARLEY_JWT_SECRET: SECRET,
    PARLEY_JWT_CLOCK_SKEW: '0',
    PARLEY_BUDGET_USER: '1000/1d',
  })
})
afterEach(() => world.leave())
afterAll(() => world.dispose())

/** In light and dark themes and at phone size, the page is accessible and no text is truncated. */
async function fitsEverywhere({ page }: ChatTab, name: string): Promise<void> {
  for (const look of ['light', 'dark', 'phone'] as const) {
    await page.emulateMedia({ colorScheme: look === 'dark' ? 'dark' : 'light' })
    await page.setViewportSize(look === 'phone' ? PHONE : WIDE)
    await hasNoViolation(page)
    const truncated = await page.evaluate(() => {
      const texts = [...document.querySelectorAll('.budget-text, .bar span')]
      return texts.filter((text) => text.scrollWidth > text.clientWidth && text.clientWidth > 0).length
    })
    expect([truncated, await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)]).toEqual([0, 0])
    await shoot(page, `${name}-${look}`)
  }
  await page.emulateMedia({ colorScheme: 'light' })
  await page.setViewportSize(WIDE)
}

describe('a token budget', () => {
  it('is shown, warns when it is low, stops an answer, refuses the next message, and names its reset', async () => {
    const visitor = await world.come()
    const tab = await visitor.open(`${world.site}#token=${tokenOf('ada', 'Ada')}`)
    const { page } = tab
    const line = page.locator('.budget button')
    const status = page.getByRole('status', { name: 'Budget' })
    await line.getByText('1,000 of 1,000 tokens left').waitFor()
    expect(await status.textContent()).toBe('')
    const box = page.locator('.composer-box')
    const place = await box.boundingBox()

    await tab.send('/demo count=900 rate=0')
    await tab.answer(0, 'completed')
    await line.getByText(/^Only \d+ of 1,000 tokens left$/).waitFor()
    await status.getByText('Your token budget is nearly used up.').waitFor({ state: 'attached' })

    await page.getByRole('button', { name: 'New chat' }).click()
    await tab.send('/demo count=2000 rate=400')
    expect(await tab.answer(0, 'failed')).toMatch(/^0 1 2 3 /)
    await page
      .locator('.note')
      .getByText(/Stopped: not enough tokens left in the budget\. Resets (at|on) /)
      .waitFor()
    await line.getByText(/^Token budget used up, resets (at|on) /).waitFor()
    await status.getByText('Your token budget (1,000) is used up.').waitFor({ state: 'attached' })
    await tab.send('One more')
    await page
      .getByRole('alert')
      .getByText(/Not sent: Not enough tokens left in the budget\. Resets (at|on) /)
      .waitFor()
    // The text returns to the message box, to be shortened or sent later.
    await page.getByRole('button', { name: 'Edit', exact: true }).last().click()
    expect(await page.getByRole('textbox', { name: 'Message' }).inputValue()).toBe('One more')
    expect(await page.getByText('Not sent').count()).toBe(0)
    await page.getByRole('textbox', { name: 'Message' }).fill('')
    // A refused new version of a message is edited where that message is.
    await page.getByRole('button', { name: 'Edit', exact: true }).first().click()
    const edited = page.getByRole('textbox', { name: 'Edited text' })
    await edited.fill('Another version')
    await edited.press('Enter')
    await page.getByRole('alert').getByText('Not sent').waitFor()
    await page.getByRole('button', { name: 'Edit', exact: true }).last().click()
    expect(await edited.inputValue()).toBe('Another version')
    expect(await page.getByText('Not sent').count()).toBe(0)
    await edited.press('Escape')
    expect(await box.boundingBox()).toEqual(place)
    await fitsEverywhere(tab, 'budget')

    await line.click()
    await page.getByRole('dialog').getByText('Your budget').waitFor()
    await page
      .getByRole('dialog')
      .getByText(/^0 of 1,000 tokens left; resets /)
      .waitFor()
    await hasNoViolation(page)
  })
})

describe('an access token', () => {
  it('expires with a notice and without loss, and the chat continues when the link carries a new token', async () => {
    const visitor = await world.come()
    // By the clock of this device, the token would expire in ten minutes.
    await visitor.setClockWrong(-600_000)
    const tab = await visitor.open(`${world.site}#token=${tokenOf('bob', 'Bob', 10)}`)
    const { page } = tab
    await tab.status('Live')
    const session = tab.session
    await tab.send('/demo count=240 rate=20')
    await page.getByText('Your session expires soon.').waitFor()
    const box = page.getByRole('textbox', { name: 'Message' })
    await box.fill('half a thou')
    const bar = page.getByRole('alert').getByText('Your session has expired.')
    await bar.waitFor()
    // No dialog interrupts the typing.
    expect(await page.getByRole('dialog').count()).toBe(0)
    await box.pressSequentially('ght')
    await page.locator('.note').getByText('Sign in to continue').waitFor()
    await tab.status('Not signed in')
    await fitsEverywhere(tab, 'sign-in-expired')

    await page.getByRole('button', { name: 'Sign in again' }).click()
    await page.getByLabel('Token').fill(`${tokenOf('bob', 'Bob')}forged`)
    await page.getByRole('button', { name: 'Sign in', exact: true }).last().click()
    await page.getByText('This token is invalid.').waitFor()
    expect(await box.inputValue()).toBe('half a thought')
    await page.getByRole('radio', { name: 'Queue' }).check({ force: true })
    await tab.send('/demo count=3 rate=0')
    await page.getByText('Will be sent when you sign in').waitFor()
    await box.fill('another')

    await page.evaluate(
      (hash) => {
        window.location.hash = hash
      },
      `token=${tokenOf('bob', 'Bob')}`,
    )
    await tab.status('Live')
    await bar.waitFor({ state: 'detached' })
    expect(await tab.answerTo('/demo count=3 rate=0', 'completed')).toBe('0 1 2')
    expect(await tab.answerTo('/demo count=240 rate=20', 'completed')).toBe(
      Array.from({ length: 240 }, (_, at) => at).join(' '),
    )
    expect([await box.inputValue(), tab.session]).toEqual(['another', session])
    expect(page.url()).not.toContain('token')
    // Chromium logs the refused requests.
    visitor.excuse('401')
  })
})
