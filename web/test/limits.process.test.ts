// Time and tokens that end, as a person meets it: a budget that is nearly used up, that cuts an answer off and refuses the next
// message; and a sign-in that is over in the middle of an answer, with what was being typed.
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { hasNoViolation } from './axe.ts'
import type { ChatTab } from './browser.ts'
import { PageWorld } from './page-world.ts'
import { SECRET, tokenOf } from './token.ts'

const ARTIFACTS = fileURLToPath(new URL('../../artifacts/', import.meta.url))
const PHONE = { width: 360, height: 740 }
const WIDE = { width: 1_000, height: 720 }

let world: PageWorld

beforeAll(async () => {
  mkdirSync(ARTIFACTS, { recursive: true })
  world = await PageWorld.start({
    PARLEY_JWT_SECRET: SECRET,
    PARLEY_JWT_CLOCK_SKEW: '0',
    PARLEY_BUDGET_USER: '1000/1d',
  })
})
afterEach(() => world.leave())
afterAll(() => world.dispose())

/** Light, dark and as small as a phone: no violation, nothing that is cut off. */
async function isFineInAll({ page }: ChatTab, name: string): Promise<void> {
  for (const look of ['light', 'dark', 'phone'] as const) {
    await page.emulateMedia({ colorScheme: look === 'dark' ? 'dark' : 'light' })
    await page.setViewportSize(look === 'phone' ? PHONE : WIDE)
    await hasNoViolation(page)
    const cut = await page.evaluate(() => {
      const texts = [...document.querySelectorAll('.budget-text, .bar span')]
      return texts.filter((text) => text.scrollWidth > text.clientWidth && text.clientWidth > 0).length
    })
    expect([cut, await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)]).toEqual([0, 0])
    await page.screenshot({ path: `${ARTIFACTS}${name}-${look}.png` })
  }
  await page.emulateMedia({ colorScheme: 'light' })
  await page.setViewportSize(WIDE)
}

describe('a budget of tokens', () => {
  it('is shown, warns near its end, cuts an answer off and refuses the next one, with when it is free again', async () => {
    const visitor = await world.come()
    const tab = await visitor.open(`${world.site}#token=${tokenOf('ada', 'Ada')}`)
    const { page } = tab
    const line = page.locator('.budget button')
    const status = page.getByRole('status', { name: 'Budget' })
    await line.getByText('1,000 of 1,000 tokens left').waitFor()
    expect(await status.textContent()).toBe('')
    const box = page.locator('.composer-box')
    const place = await box.boundingBox()

    await tab.say('/demo count=900 rate=0')
    await tab.answer(0, 'completed')
    await line.getByText(/^Only \d+ of 1,000 tokens left$/).waitFor()
    await status.getByText('Your budget of tokens is nearly used up.').waitFor({ state: 'attached' })

    await page.getByRole('button', { name: 'New chat' }).click()
    await tab.say('/demo count=2000 rate=400')
    expect(await tab.answer(0, 'failed')).toMatch(/^0 1 2 3 /)
    await page
      .locator('.note')
      .getByText(/Cut off: the budget of tokens was used up\. It is free again (at|on) /)
      .waitFor()
    await line.getByText(/^Tokens used up, free again (at|on) /).waitFor()
    await status.getByText('Your budget of 1,000 tokens is used up.').waitFor({ state: 'attached' })
    await tab.say('One more')
    await page
      .getByRole('alert')
      .getByText(/Not sent: The budget of tokens is used up\. It is free again (at|on) /)
      .waitFor()
    expect(await box.boundingBox()).toEqual(place)
    await isFineInAll(tab, 'budget')

    await line.click()
    await page.getByRole('dialog').getByText('Yours').waitFor()
    await page
      .getByRole('dialog')
      .getByText(/^0 of 1,000 tokens left; begins anew /)
      .waitFor()
    await hasNoViolation(page)
  })
})

describe('a sign-in', () => {
  it('that is over is told, with nothing lost, and all goes on when the page that opened this one brings another token', async () => {
    const visitor = await world.come()
    const tab = await visitor.open(`${world.site}#token=${tokenOf('bob', 'Bob', 4)}`)
    const { page } = tab
    await tab.status('Live')
    const session = tab.session
    await tab.say('/demo count=120 rate=20')
    await page.getByText('Your sign-in is nearly over.').waitFor()
    const box = page.getByRole('textbox', { name: 'Message' })
    await box.fill('half a thou')
    const bar = page.getByRole('alert').getByText('Your sign-in is over.')
    await bar.waitFor()
    // What is typed goes where it was typed.
    expect(await page.getByRole('dialog').count()).toBe(0)
    await box.pressSequentially('ght')
    await page.locator('.note').getByText('Sign in to see how it goes on').waitFor()
    await tab.status('Not signed in')
    await isFineInAll(tab, 'sign-in-over')

    await page.getByRole('button', { name: 'Sign in again' }).click()
    await page.getByLabel('Token').fill(`${tokenOf('bob', 'Bob')}forged`)
    await page.getByRole('button', { name: 'Sign in', exact: true }).last().click()
    await page.getByText('Your token is not taken.').waitFor()
    expect(await box.inputValue()).toBe('half a thought')
    await page.getByRole('radio', { name: 'After this answer' }).check({ force: true })
    await tab.say('/demo count=3 rate=0')
    await page.getByText('Will be sent when you have signed in').waitFor()
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
    expect(await tab.answerTo('/demo count=120 rate=20', 'completed')).toBe(
      Array.from({ length: 120 }, (_, at) => at).join(' '),
    )
    expect([await box.inputValue(), tab.session]).toEqual(['another', session])
    expect(page.url()).not.toContain('token')
    // Chromium itself tells of requests that were refused.
    visitor.excuse('401')
  })
})
