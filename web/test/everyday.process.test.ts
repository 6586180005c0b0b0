// What people do all day, in a real browser with a real server: double clicks, selections, copies, long pastes, searches
// in long chats, tool cards, and phones.

import { join } from 'node:path'
import { tool } from '@parley/client'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { hasNoViolation } from './axe.ts'
import { shoot } from './browser.ts'
import { writeLongSession } from './long-session.ts'
import { PageWorld } from './page-world.ts'

const LONG = 300

let world: PageWorld

beforeAll(async () => {
  world = await PageWorld.start({}, ({ data }) => writeLongSession(join(data, 'data'), 'long', LONG))
})
afterEach(() => world.leave())
afterAll(() => world.dispose())

it('is kind to people who write', async () => {
  const visitor = await world.come()
  // As on a page over plain HTTP, where browsers have no clipboard.
  await visitor.context.addInitScript(() => Object.defineProperty(navigator, 'clipboard', { value: undefined }))
  const tab = await visitor.open(world.site)
  const { page } = tab
  const box = page.getByRole('textbox', { name: 'Message' })
  const turn = page.locator('.turn').last()

  // A user's message is Markdown, too, and keeps its line breaks.
  await tab.send('A message\nwith **two** lines\n\n- one\n- `two`')
  await page.locator('.bubble li').last().waitFor()
  expect(await page.locator('.bubble li').allTextContents()).toEqual(['one', 'two'])
  expect(await page.locator('.bubble p').innerText()).toBe('A message\nwith two lines')
  // The server has set the title.
  const title = 'A message with two lines one two'
  expect(await page.locator('.title').textContent()).toBe(title)
  const lookUp = tool({ name: 'look_up', execute: () => ({ answer: 'Found.\nTwo lines.' }) })
  const session = await world.join(tab.session, [lookUp])
  expect(session.state.title).toBe(title)
  await tab.send('/demo count=3 rate=0')
  await turn.locator('.answer[data-status=completed]').waitFor()
  // A text without a message box of its own goes to the clipboard through a selection.
  await page.getByRole('button', { name: 'Copy answer' }).last().click()
  await page.getByText('Copied').waitFor()
  await box.focus()
  await page.keyboard.press('Control+V')
  expect(await box.inputValue()).toBe('0 1 2')
  await box.fill('')

  // A double click asks for one more answer, not for two.
  await page.getByRole('button', { name: 'Regenerate' }).last().dblclick()
  await turn.getByRole('group', { name: 'Version 2 of 2' }).waitFor()
  await turn.locator('.answer[data-status=completed]').waitFor()
  expect(session.state.messages.length).toBe(3)

  // A selection in the growing paragraph stays.
  await tab.send('/demo count=300 rate=100')
  await turn.locator('.answer .text p').filter({ hasText: '0 1 2 3 4 5' }).waitFor()
  const hint = () => box.getAttribute('placeholder')
  expect(await hint()).toBe('Interrupt with a message')
  await page.getByRole('radio', { name: 'Queue' }).check()
  expect(await hint()).toBe('Send after this answer')
  await page.getByRole('region', { name: 'Conversation' }).focus()
  await turn.locator('.answer .text p').evaluate((paragraph) => {
    const text = document.createTreeWalker(paragraph, NodeFilter.SHOW_TEXT).nextNode()
    if (text === null) throw new Error('There is no text.')
    document.getSelection()?.setBaseAndExtent(text, 2, text, 9)
  })
  const selected = () => page.evaluate(() => document.getSelection()?.toString())
  expect(await selected()).toBe('1 2 3 4')
  await turn.locator('.answer .text p').filter({ hasText: ' 60 61 ' }).waitFor()
  expect(await selected()).toBe('1 2 3 4')
  await turn.locator('.answer[data-status=completed]').waitFor()
  expect(await selected()).toBe('1 2 3 4')

  // A tool card is for people first.
  await tab.send('/demo tool=look_up input={"where":{"city":"Bern","zones":["CET","UTC"]},"exact":true} count=1 rate=0')
  const card = turn.locator('.tool[data-status=completed]')
  await card.waitFor()
  expect(await card.locator('.values > div').first().innerText()).toMatch(
    /^Input\s+where\s+city\s+Bern\s+zones\s+CET\s+UTC\s+exact\s+true\s+JSON$/,
  )
  await shoot(page, 'tool-card')
  await card.getByRole('button', { name: 'Input as JSON' }).click()
  expect(await card.locator('pre').textContent()).toContain('"zones":["CET","UTC"]')
  await hasNoViolation(page)
})

it('finds words in the whole chat', async () => {
  const tab = await (await world.come()).open(`${world.site}?session=long`)
  const { page } = tab
  await page.getByText(`Question ${LONG - 1}`, { exact: true }).waitFor()
  const input = page.getByRole('textbox', { name: 'Find in chat' })
  const status = page.locator('.find-count')
  const shown = () => page.evaluate(() => [...(CSS.highlights.get('found-current') ?? [])].map(String))
  const isVisible = (text: string) => page.locator('.turn').filter({ hasText: text }).first().isVisible()
  expect(await isVisible('answer 3, with')).toBe(false)
  await page.keyboard.press('Control+F')
  await input.fill('LINE 0 of answer 3, with WORDS')
  await status.getByText('1 of 1').waitFor()
  await expect.poll(shown).toEqual(['Line 0 of answer 3, with words'])
  await expect.poll(() => page.getByText('Line 0 of answer 3, with').isVisible()).toBe(true)

  await input.fill('question 29')
  await status.getByText('1 of 11').waitFor()
  await expect.poll(shown).toEqual(['Question 29'])
  await input.press('Shift+Enter')
  await status.getByText('11 of 11').waitFor()
  await expect.poll(() => page.getByText('Question 299', { exact: true }).isVisible()).toBe(true)
  await input.press('Enter')
  await input.press('Enter')
  await status.getByText('2 of 11').waitFor()
  await expect.poll(() => page.getByText('Question 290', { exact: true }).isVisible()).toBe(true)
  expect(await page.evaluate(() => CSS.highlights.get('found')?.size ?? 0)).toBeGreaterThan(3)
  await shoot(page, 'find')
  await hasNoViolation(page)
  await input.fill('nothing like that')
  await status.getByText('No results').waitFor()

  // The second press is left to the browser.
  await page.evaluate(() => {
    const presses: boolean[] = []
    Object.assign(window, { presses })
    window.addEventListener('keydown', (event) => event.key === 'F' && presses.push(event.defaultPrevented))
  })
  await page.keyboard.press('Control+F')
  await input.press('Escape')
  expect(await input.count()).toBe(0)
  await page.keyboard.press('Control+F')
  await input.waitFor()
  expect(await page.evaluate(() => (window as unknown as { presses: boolean[] }).presses)).toEqual([false, true])
})

// Reasoning and tool cards were left out, because they are collapsed.
it('finds words in reasoning and tool cards, and opens them', async () => {
  const tab = await (await world.come()).open(world.site)
  const { page } = tab
  await tab.send('Hello')
  const lines = Array.from({ length: 30 }, (_, at) => `line ${at} of the file`).join('\n')
  await world.join(tab.session, [tool({ name: 'read_file', execute: () => ({ content: lines }) })])
  await tab.send('/demo reasoning=900 tool=read_file input={"path":"notes.txt"} count=40 rate=0')
  await page.locator('.turn').last().locator('.answer[data-status=completed]').waitFor()
  const input = page.getByRole('textbox', { name: 'Find in chat' })
  const status = page.locator('.find-count')
  const shown = () =>
    page.evaluate(() => {
      const [range] = CSS.highlights.get('found-current') ?? []
      const place = range instanceof Range ? range.getBoundingClientRect() : undefined
      return [String(range), (place?.height ?? 0) > 0 && place !== undefined && place.bottom < window.innerHeight]
    })
  await page.keyboard.press('Control+F')
  await input.fill('r700 r701')
  await status.getByText('1 of 1').waitFor()
  await expect.poll(shown).toEqual(['r700 r701', true])
  expect(await page.locator('.reasoning').evaluate((details) => (details as HTMLDetailsElement).open)).toBe(true)
  // The answer has the result, too.
  await input.fill('LINE 27 of')
  await status.getByText('1 of 2').waitFor()
  await expect.poll(shown).toEqual(['line 27 of', true])
  // The message, the input of the call, and nothing else.
  await input.fill('notes.txt')
  await status.getByText('1 of 2').waitFor()
  await input.press('Enter')
  await status.getByText('2 of 2').waitFor()
  await expect.poll(shown).toEqual(['notes.txt', true])
  expect(
    await page.evaluate(() =>
      [...(CSS.highlights.get('found-current') ?? [])].map((range) => {
        return (range as Range).startContainer.parentElement?.closest('.tool') !== null
      }),
    ),
  ).toEqual([true])
  await hasNoViolation(page)
})

it('shows the connection’s state beside a long title', async () => {
  const visitor = await world.come({ viewport: { width: 700, height: 600 } })
  const tab = await visitor.open(world.site)
  const { page } = tab
  await tab.status('Live')
  await tab.send('A title that is much longer than a window of this width has room for, whatever its font may be')
  await page.locator('.title').getByText('A title that is much longer').waitFor()
  for (const width of [700, 800]) {
    await page.setViewportSize({ width, height: 600 })
    const hidden = await page.locator('.badge [role=status]').evaluate((label) => label.scrollWidth - label.clientWidth)
    expect([width, hidden]).toEqual([width, 0])
    await shoot(page, `long-title-${width}`)
  }
})

it('has room for titles and tables on phones, and a page for unknown addresses', async () => {
  const phone = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }
  const visitor = await world.come(phone)
  const tab = await visitor.open(world.site)
  const { page } = tab
  await tab.status('Live')
  const columns = ['Name', 'Version', 'Licence', 'Maintainers', 'Downloads', 'Published']
  const row = (cells: readonly string[]) => `|${cells.join('|')}|`
  const table = [columns, columns.map(() => '---'), columns.map((name) => `${name} of something else`)].map(row)
  await tab.send(`A rather long title for this chat\n\n${table.join('\n')}`)
  await page.locator('.title').getByText('A rather long title for this chat').waitFor()
  const scroller = page.locator('.bubble .table')
  expect(await scroller.evaluate((element) => element.scrollWidth > element.clientWidth)).toBe(true)
  const bubble = await page.locator('.bubble').boundingBox()
  expect((bubble?.x ?? 0) + (bubble?.width ?? 0)).toBeLessThanOrEqual(360)
  expect(await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)).toBeLessThanOrEqual(0)
  // Columns keep the width of some words, instead of one letter a line.
  const widths = await page.locator('.bubble td').evaluateAll((cells) => cells.map((cell) => cell.clientWidth))
  expect(Math.min(...widths)).toBeGreaterThan(110)
  await shoot(page, 'phone-title')
  await hasNoViolation(page)
  await page.goto(`${world.site}nowhere`)
  await page.getByRole('link', { name: 'Open Parley' }).click()
  await tab.status('Live')
  visitor.excuse('404')
})
