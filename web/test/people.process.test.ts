// Several users in one session, each with their own browser: sign-in, roles, presence and sharing. With a real server
// that requires access tokens.
import { tool } from '@parley/client'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { hasNoViolation } from './axe.ts'
import { type ChatTab, isFirefox, shoot } from './browser.ts'
import { PageWorld } from './page-world.ts'
import { SECRET, tokenOf } from './token.ts'

const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }
const CLIPBOARD = { permissions: ['clipboard-read', 'clipboard-write'] }

let world: PageWorld

beforeAll(async () => {
  world = await PageWorld.start({ PARLEY_JWT_SECRET: SECRET })
})
afterEach(() => world.leave())
afterAll(() => world.dispose())

/** Opens the page as a signed-in user. */
async function enter(
  name: string,
  { link, ...options }: Parameters<PageWorld['come']>[0] & { link?: string } = {},
): Promise<ChatTab> {
  const visitor = await world.come(options)
  const url = new URL(link ?? world.site)
  const fragment = new URLSearchParams(url.hash.slice(1))
  fragment.set('token', tokenOf(name.toLowerCase(), name))
  url.hash = fragment.toString()
  const tab = await visitor.open(url.href)
  await tab.status('Live')
  return tab
}

/** Creates an invitation link in the share dialog. */
async function invite(tab: ChatTab, role: string): Promise<string> {
  await tab.page.getByRole('button', { name: 'Share' }).click()
  const dialog = tab.page.getByRole('dialog')
  await dialog.getByRole('combobox', { name: 'Role', exact: true }).selectOption(role)
  await dialog.getByRole('button', { name: 'Create link' }).click()
  await dialog.getByRole('button', { name: 'Copy invitation' }).click()
  await dialog.getByText('Copied').waitFor()
  const link = await dialog.getByRole('textbox', { name: 'Link' }).first().inputValue()
  expect(await tab.page.evaluate(() => navigator.clipboard.readText())).toBe(link)
  await dialog.getByRole('button', { name: 'Close' }).click()
  return link
}

function numbers(count: number): string {
  return Array.from({ length: count }, (_, index) => index).join(' ')
}

describe('a visitor', () => {
  it('signs in with a token, stays signed in after a reload, and signs out', async () => {
    const visitor = await world.come()
    const tab = await visitor.open(world.site)
    const dialog = tab.page.getByRole('dialog')
    await dialog.getByText('Sign in to continue.').waitFor()
    await hasNoViolation(tab.page)
    await shoot(tab.page, 'people-sign-in')
    await dialog.getByLabel('Token').fill('no token')
    await dialog.getByRole('button', { name: 'Sign in' }).click()
    await dialog.getByText('This token is invalid or has expired.').waitFor()
    await dialog.getByLabel('Token').fill(tokenOf('ada', 'Ada Lovelace'))
    await dialog.getByRole('button', { name: 'Sign in' }).click()
    await tab.status('Live')
    await tab.page.reload()
    await tab.status('Live')
    // The token is only in the tab's own storage.
    expect(tab.page.url()).not.toContain('token')
    expect(await tab.page.evaluate(() => JSON.stringify({ ...localStorage }).includes('eyJ'))).toBe(false)
    await tab.page.getByRole('button', { name: 'Chats' }).click()
    await dialog.getByText('Signed in as Ada Lovelace').waitFor()
    await dialog.getByRole('button', { name: 'Sign out' }).click()
    await tab.page.getByText('Sign in to continue.').waitFor()
    expect(await tab.page.evaluate(() => sessionStorage.length)).toBe(0)
  })

  it('can open a link with a token in its fragment, which is removed from the address', async () => {
    const tab = await enter('Ada')
    expect(tab.page.url()).toMatch(/\/\?session=ses_[0-9a-z]+$/)
    // The tab's first page and this one. Firefox replaces the first one.
    expect(await tab.page.evaluate(() => window.history.length)).toBe(isFirefox ? 1 : 2)
  })

  it('is warned before the token expires, and continues with a new one over the same connection', async () => {
    const visitor = await world.come()
    const tab = await visitor.open(`${world.site}#token=${tokenOf('ada', 'Ada', 50)}`)
    await tab.status('Live')
    await tab.send('/demo count=2000 rate=50')
    await tab.streams(0, '0 1 2 3')
    await tab.page.getByText('Your session expires soon.').waitFor()
    await tab.page.getByRole('button', { name: 'Enter a new token' }).click()
    await tab.page.getByLabel('Token').fill(tokenOf('ada', 'Ada'))
    await tab.page.getByRole('button', { name: 'Sign in' }).click()
    await tab.page.getByText('Your session expires soon.').waitFor({ state: 'detached' })
    await expect.poll(() => visitor.sockets.sent.filter((type) => type === 'token').length).toBe(1)
    expect(visitor.sockets.count).toBe(1)
    await tab.page.getByRole('button', { name: 'Stop' }).click()
    await tab.answer(0, 'cancelled')
  })
})

describe('two windows and a phone', () => {
  it('share a session: one sends, another stops the answer, the third interrupts, and all see the same', async () => {
    const ada = await enter('Ada', CLIPBOARD)
    const link = await invite(ada, 'editor')
    const [bob, cy] = await Promise.all([enter('Bob', { link }), enter('Cy', { link, ...PHONE })])
    const all = [ada, bob, cy]
    expect(new Set(all.map(({ session }) => session)).size).toBe(1)
    for (const { page } of all) expect(page.url()).not.toContain('#')

    await ada.send('/demo count=2000 rate=50')
    await Promise.all(all.map((tab) => tab.streams(0, '0 1 2 3')))
    await bob.page.getByRole('button', { name: 'Stop' }).click()
    const stopped = await Promise.all(all.map((tab) => tab.answerTo('/demo count=2000 rate=50', 'cancelled')))
    expect(stopped).toEqual(all.map(() => stopped[0]))
    await ada.page.locator('.answer').getByText('Stopped by Bob').waitFor()

    await ada.send('/demo count=2000 rate=60')
    await Promise.all(all.map((tab) => tab.streams(1, '0 1 2 3')))
    await cy.page.getByRole('textbox', { name: 'Message' }).fill('/demo count=60 rate=60')
    await ada.page.locator('.typing').getByText('Cy is typing').waitFor()
    await shoot(ada.page, 'people-shared-desktop')
    await shoot(cy.page, 'people-shared-phone')
    await cy.page.getByRole('textbox', { name: 'Message' }).press('Enter')
    await Promise.all(all.map((tab) => tab.streams(2, '0 1 2 3')))
    await bob.page.reload()
    const interrupted = await Promise.all(all.map((tab) => tab.answerTo('/demo count=2000 rate=60', 'superseded')))
    expect(interrupted).toEqual(all.map(() => interrupted[0]))
    const answers = await Promise.all(all.map((tab) => tab.answerTo('/demo count=60 rate=60', 'completed')))
    expect(answers).toEqual([numbers(60), numbers(60), numbers(60)])
    await ada.page.locator('.typing').getByText('Cy is typing').waitFor({ state: 'detached' })
    for (const { page } of all) await page.getByRole('button', { name: '3 online' }).waitFor()
    await ada.page.getByRole('button', { name: '3 online' }).click()
    await ada.page.getByRole('dialog').getByText('phone').waitFor()
    await hasNoViolation(ada.page)
    await shoot(ada.page, 'people-online')
    // The same on a phone, in the dark theme.
    await cy.page.emulateMedia({ colorScheme: 'dark' })
    await bob.page.getByRole('textbox', { name: 'Message' }).fill('A moment')
    await cy.page.locator('.typing').getByText('Bob is typing').waitFor()
    await hasNoViolation(cy.page)
    await shoot(cy.page, 'people-typing-phone')
    await cy.page.getByRole('button', { name: '3 online' }).click()
    // The pictures take a while, and typing is forgotten.
    await bob.page.getByRole('textbox', { name: 'Message' }).fill('A moment, please')
    await cy.page.getByRole('dialog').getByText('typing').waitFor()
    await hasNoViolation(cy.page)
    await shoot(cy.page, 'people-online-phone')
  })
})

describe('a role', () => {
  it('limits what the page offers: a viewer reads, an approver decides, and a new role applies at once', async () => {
    const ada = await enter('Ada', CLIPBOARD)
    const vera = await enter('Vera', { link: await invite(ada, 'viewer') })
    const paul = await enter('Paul', { link: await invite(ada, 'approver') })
    await vera.page.getByText('View only.').waitFor()
    await paul.page.getByText('You can approve or deny tool calls.').waitFor()
    for (const { page } of [vera, paul]) expect(await page.getByRole('textbox').count()).toBe(0)

    const opened: unknown[] = []
    const gate = tool({ name: 'open_gate', approval: true, execute: (input) => opened.push(input) })
    await world.join(ada.session, [gate], tokenOf('ada', 'Ada'))
    await ada.send('/demo tool=open_gate input={"gate":"front"} count=3 rate=0')
    await vera.page.getByText('Only an owner or approver can approve this.').waitFor()
    expect(await vera.page.getByRole('button', { name: 'Approve' }).count()).toBe(0)
    await hasNoViolation(vera.page)
    await paul.page.getByRole('textbox', { name: 'Reason' }).fill('It is her mother')
    await shoot(paul.page, 'people-approver')
    await paul.page.getByRole('button', { name: 'Approve' }).click()
    for (const tab of [ada, vera]) {
      await tab.page.locator('.tool-decision').getByText('Approved by Paul: It is her mother').waitFor()
      await tab.answer(0, 'completed')
    }
    expect(opened).toEqual([{ gate: 'front' }])

    await ada.page.getByRole('button', { name: 'Share' }).click()
    await ada.page.getByRole('combobox', { name: 'Role of Vera' }).selectOption('editor')
    await vera.send('/demo count=3 rate=0')
    expect(await ada.answer(1, 'completed')).toBe('0 1 2')
    await ada.page.locator('.message').getByText('Vera').waitFor()
    // The last owner cannot give up the role.
    await ada.page.getByRole('combobox', { name: 'Role of Ada' }).selectOption('viewer')
    await ada.page.getByText('Make someone else an owner first.').waitFor()
    // Chromium logs the refused request.
    for (const visitor of world.visitors) visitor.excuse('409')
  })

  it('ends at once for a removed member, whose page shows nothing more and whose invitation is invalid', async () => {
    const ada = await enter('Ada', CLIPBOARD)
    const link = await invite(ada, 'viewer')
    const eve = await enter('Eve', { link })
    await ada.send('/demo count=2000 rate=50')
    await eve.streams(0, '0 1 2 3')
    await ada.page.getByRole('button', { name: 'Share' }).click()
    await ada.page.getByRole('button', { name: 'Remove: Eve' }).click()
    await ada.page.getByRole('button', { name: 'Remove Eve' }).click()
    await eve.page.getByText('You’re no longer a member').waitFor()
    expect(await eve.page.locator('.answer').count()).toBe(0)
    await ada.page.getByRole('listitem', { name: 'Eve' }).waitFor({ state: 'detached' })
    await shoot(eve.page, 'people-removed')

    await eve.page.evaluate((hash) => {
      window.location.hash = hash
    }, new URL(link).hash)
    await eve.page.getByText('Couldn’t accept the invitation.').waitFor()
    await eve.page.getByText('You don’t have access to this chat').waitFor()
    expect(eve.page.url()).not.toContain('#')
    await ada.page.getByRole('button', { name: /^Revoke/ }).click()
    await ada.page.getByText('Pending invitations').waitFor({ state: 'detached' })
    // Chromium logs the refused invitation.
    for (const visitor of world.visitors) visitor.excuse('403')
  })
})

describe('names and titles', () => {
  it('are text, even if they contain HTML', async () => {
    const html = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
    const visitor = await world.come(CLIPBOARD)
    const tab = await visitor.open(`${world.site}#token=${tokenOf('mal"><svg onload=pwned=1>', html)}`)
    await tab.status('Live')
    await tab.send('/demo count=1')
    await tab.answer(0, 'completed')
    await fetch(`${world.site}v1/sessions/${tab.session}`, {
      method: 'PATCH',
      headers: { authorization: `Bearer ${tokenOf('mal"><svg onload=pwned=1>')}`, 'content-type': 'application/json' },
      body: JSON.stringify({ title: html }),
    })
    await tab.page.locator('h1 .title').getByText(html).waitFor()
    expect(await tab.page.title()).toBe(`${html} · Parley`)
    await tab.page.getByRole('button', { name: 'Chats' }).click()
    await tab.page.getByRole('dialog').locator('strong').getByText(html).waitFor()
    await tab.page.getByRole('dialog').locator('.session-title').getByText(html).waitFor()
    await tab.page.keyboard.press('Escape')
    await tab.page.getByRole('button', { name: 'Share' }).click()
    await tab.page.locator('.member-name').getByText(html).waitFor()
    const found = await tab.page.evaluate(() => ({
      pwned: 'pwned' in window,
      elements: document.querySelectorAll('#root :is(img, script, [onerror], [onload])').length,
    }))
    expect(found).toEqual({ pwned: false, elements: 0 })
  })
})

describe('the dialogs', () => {
  it('are accessible and fit, in light and dark themes and on a phone', async () => {
    const ada = await enter('Ada', { viewport: { width: 1_280, height: 900 }, ...CLIPBOARD })
    const link = new URL(await invite(ada, 'editor'))
    const token = new URLSearchParams(link.hash.slice(1)).get('invite')
    for (const name of ['Bob Example', 'Zoë']) {
      await fetch(`${world.site}v1/sessions/${ada.session}/members`, {
        method: 'POST',
        headers: { authorization: `Bearer ${tokenOf(name.toLowerCase(), name)}`, 'content-type': 'application/json' },
        body: JSON.stringify({ token }),
      })
    }
    await ada.send('/demo count=3 rate=0')
    await ada.answer(0, 'completed')
    await ada.page.getByRole('button', { name: 'Share' }).click()
    const dialog = ada.page.getByRole('dialog')
    await dialog.getByRole('button', { name: 'Create link' }).click()
    await dialog.getByText('it won’t be shown again').waitFor()
    await dialog.getByRole('button', { name: 'Remove: Zoë' }).click()
    await fitsEverywhere(ada, 'share')
    await dialog.getByRole('button', { name: 'Close' }).click()
    await ada.page
      .getByRole('navigation', { name: 'Chats' })
      .getByRole('button', { name: /^Options for/ })
      .first()
      .click()
    await ada.page.getByRole('heading', { name: 'Chat settings' }).waitFor()
    await ada.page.getByRole('textbox', { name: 'Title' }).waitFor()
    await fitsEverywhere(ada, 'session')
    await ada.page.keyboard.press('Escape')
    await ada.page.getByRole('button', { name: 'Connection' }).click()
    await ada.page.getByText('WebSocket', { exact: true }).waitFor()
    await fitsEverywhere(ada, 'connection')
  })
})

/** In light and dark themes and at phone size, the page is accessible and does not overflow. */
async function fitsEverywhere({ page }: ChatTab, name: string): Promise<void> {
  for (const look of ['light', 'dark', 'phone'] as const) {
    await page.emulateMedia({ colorScheme: look === 'dark' ? 'dark' : 'light' })
    await page.setViewportSize(look === 'phone' ? PHONE.viewport : { width: 1_280, height: 900 })
    await hasNoViolation(page)
    const overflow = await page.evaluate(() => {
      const all = [document.documentElement, ...document.querySelectorAll('dialog[open]')]
      return Math.max(...all.map((element) => element.scrollWidth - element.clientWidth))
    })
    expect(overflow).toBeLessThanOrEqual(0)
    await shoot(page, `people-${name}-${look}`)
  }
  await page.emulateMedia({ colorScheme: 'light' })
  await page.setViewportSize({ width: 1_280, height: 900 })
}
