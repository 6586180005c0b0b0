// Long texts in the message box and in the box of an edited message: no task takes long while they are pasted, restored and edited,
// and they are sent as they are.
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { hasNoViolation } from './axe.ts'
import { ChatTab, isFirefox, shoot } from './browser.ts'
import { longestTask } from './longest-task.ts'
import { PageWorld } from './page-world.ts'

/**
 * Other tests run at the same time, and in Firefox their time counts. On a machine that does nothing else, no task takes longer than
 * 200 ms. Without the list below the box, they take seconds.
 */
const BUSY_MS = isFirefox ? 1_000 : 600

const SIZE = 64_000
const filled = (piece: string): string => piece.repeat(SIZE / piece.length)
const TWO_DIRECTIONS = filled('aש')
const LINES = filled('a line.\n')

let world: PageWorld

beforeAll(async () => {
  world = await PageWorld.start()
})
afterEach(() => world.leave())
afterAll(() => world.dispose())

const boxOf = (page: Page) => page.getByRole('textbox', { name: 'Message' })
const listed = (page: Page) => page.getByRole('list', { name: 'Long texts' }).getByRole('listitem')
const LABEL = 'Long text, 64,000 characters'

async function paste(page: Page, text: string): Promise<void> {
  await page.evaluate((copied) => navigator.clipboard.writeText(copied), text)
  await page.keyboard.press('Control+V')
}

async function newPage(): Promise<Page> {
  const { context } = await world.come({ permissions: ['clipboard-read', 'clipboard-write'] })
  return context.newPage()
}

it.each([
  ['letters of two directions', TWO_DIRECTIONS],
  ['many short lines', LINES],
])('pastes, restores and sends %s', async (_, text) => {
  const page = await newPage()
  const box = boxOf(page)
  const pasting = await longestTask(world.browser, page, async () => {
    await page.goto(world.site)
    await box.fill('Translate this:')
    await paste(page, text)
    await listed(page).getByText(LABEL).waitFor()
    await box.pressSequentially(' now')
  })
  expect(pasting).toBeLessThan(BUSY_MS)
  expect(await box.inputValue()).toBe('Translate this: now')
  await hasNoViolation(page)

  const reloaded = await page.context().newPage()
  const restoring = await longestTask(world.browser, reloaded, async () => {
    await reloaded.goto(page.url())
    await listed(reloaded).getByText(LABEL).waitFor()
    await boxOf(reloaded).press('End')
    await boxOf(reloaded).pressSequentially('!')
  })
  expect(restoring).toBeLessThan(BUSY_MS)
  expect(await boxOf(reloaded).inputValue()).toBe('Translate this: now!')

  const session = await world.join(new ChatTab(reloaded).session)
  await boxOf(reloaded).press('Enter')
  await expect.poll(() => session.state.messages[0]?.text).toBe(`Translate this: now!\n\n${text}`)
  expect(await listed(reloaded).count()).toBe(0)
  expect(await boxOf(reloaded).inputValue()).toBe('')
})

it('edits a message with a long text', async () => {
  const page = await newPage()
  await page.goto(world.site)
  const session = await world.join(new ChatTab(page).session)
  session.send(`Translate this:\n\n${TWO_DIRECTIONS}`)
  await page.locator('.answer[data-status=completed]').waitFor()
  const url = page.url()
  const edited = await page.context().newPage()
  const box = edited.getByRole('textbox', { name: 'Edited text' })
  const editing = await longestTask(world.browser, edited, async () => {
    await edited.goto(url)
    await edited.getByRole('button', { name: 'Edit', exact: true }).click()
    await listed(edited).getByText(LABEL).waitFor()
    await box.pressSequentially(' now')
  })
  expect(editing).toBeLessThan(BUSY_MS)
  expect(await box.inputValue()).toBe('Translate this: now')
  await shoot(edited, 'long-text-edited')
  await box.press('Enter')
  await expect.poll(() => session.state.messages.at(-1)?.text).toBe(`Translate this: now\n\n${TWO_DIRECTIONS}`)
})

it('shows a long text, and removes it', async () => {
  const page = await newPage()
  await page.goto(world.site)
  const box = boxOf(page)
  await box.focus()
  await paste(page, TWO_DIRECTIONS)
  await paste(page, `${TWO_DIRECTIONS}x`)
  await box.pressSequentially('Compare these.')
  await listed(page).first().getByText(LABEL).click()
  await expect.poll(() => listed(page).first().locator('.long-text-whole').textContent()).toBe(TWO_DIRECTIONS)
  await shoot(page, 'long-texts')
  await hasNoViolation(page)
  await page.getByRole('button', { name: 'Remove long text, 64,000 characters' }).click()
  expect(await listed(page).allTextContents()).toEqual([expect.stringContaining('Long text, 64,001 characters')])
  await page.keyboard.press('x')
  expect(await box.inputValue()).toBe('Compare these.x')
})

it('leaves other texts in the box, where they can be undone', async () => {
  const page = await newPage()
  await page.goto(world.site)
  const box = boxOf(page)
  await box.pressSequentially('a')
  await paste(page, 'b'.repeat(SIZE))
  expect((await box.inputValue()).length).toBe(SIZE + 1)
  expect(await listed(page).count()).toBe(0)
  const { height } = (await box.boundingBox()) ?? {}
  expect(height).toBe(256)
  // The end of the text is visible, where the letters appear.
  expect(await box.evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight)).toBeLessThan(
    10,
  )
  await page.keyboard.press('Control+Z')
  expect(await box.inputValue()).toBe('a')
  expect((await box.boundingBox())?.height).toBeLessThan(60)
})

it('limits searches', async () => {
  const page = await newPage()
  await page.goto(world.site)
  await boxOf(page).focus()
  await page.keyboard.press('Control+F')
  const input = page.getByRole('textbox', { name: 'Find in chat' })
  await input.focus()
  await paste(page, TWO_DIRECTIONS)
  expect((await input.inputValue()).length).toBe(1_000)
  await page.keyboard.press('Control+K')
  const search = page.getByRole('searchbox', { name: 'Search chats' })
  await search.focus()
  await page.keyboard.press('Control+V')
  expect((await search.inputValue()).length).toBe(1_000)
})
