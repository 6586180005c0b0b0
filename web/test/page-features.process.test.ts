// Comforts of the page, in one browser page: the choice of model and agent, steering, the theme, the keys, the search of
// chats, and the export.
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { isFirefox } from './browser.ts'
import { PageWorld } from './page-world.ts'

const CONFIG = `import { defineTool } from ${JSON.stringify(new URL('../../server/dist/index.js', import.meta.url))}
export default {
  agents: { poet: { system: 'You rhyme.', model: 'demo' } },
  tools: [defineTool({ name: 'dice', description: 'Rolls a die.', inputSchema: { type: 'object' }, execute: () => 4 })],
}
`

/** A provider that refuses every request. */
const provider = createServer((_, response) => response.writeHead(400).end('{}'))
let world: PageWorld
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-features-'))
  await writeFile(join(folder, 'parley.config.mjs'), CONFIG)
  provider.listen(0, '127.0.0.1')
  await once(provider, 'listening')
  world = await PageWorld.start({
    PARLEY_MODELS: 'demo,compatible:other',
    PARLEY_COMPATIBLE_URL: `http://127.0.0.1:${(provider.address() as AddressInfo).port}/v1`,
    PARLEY_CONFIG: join(folder, 'parley.config.mjs'),
  })
})
afterAll(async () => {
  await world.leave()
  await world.dispose()
  provider.close()
  await rm(folder, { recursive: true, force: true })
})

const themeOf = (page: Page): Promise<string | undefined> => page.evaluate(() => document.documentElement.dataset.theme)
const groundOf = (page: Page): Promise<string> => page.evaluate(() => getComputedStyle(document.body).backgroundColor)

it('offers, remembers and exports what people look for first', async () => {
  const visitor = await world.come({ colorScheme: 'dark', viewport: { width: 1_280, height: 720 } })
  const tab = await visitor.open(world.site)
  const { page } = tab
  const box = page.getByRole('textbox', { name: 'Message' })

  // The welcome screen says what the server offers, and its examples send.
  const welcome = page.locator('.welcome')
  for (const text of ['compatible:other', 'poet', 'dice: Rolls a die.']) await welcome.getByText(text).waitFor()
  await welcome.getByRole('button', { name: '/demo count=200' }).click()
  await tab.streams(0, '0 1 2')

  // Steering: the message goes to the running answer.
  await page.getByRole('radio', { name: 'Steer' }).check()
  await tab.send('faster, please')
  const session = await world.join(tab.session)
  await expect.poll(() => session.state.messages.at(-1)?.policy, { timeout: 20_000 }).toBe('steer')
  // Escape in any part of the search bar closes only the bar.
  await page.keyboard.press('Control+f')
  const bar = page.getByRole('search', { name: 'Find in chat' })
  await bar.getByRole('button', { name: 'Close' }).press('Escape')
  await bar.waitFor({ state: 'detached' })
  expect(await page.getByRole('button', { name: 'Stop' }).isEnabled()).toBe(true)
  await page.keyboard.press('Escape')
  await tab.answer(0, 'cancelled')

  // The picker: the choice goes with the message, and is remembered with the chat.
  await page.getByLabel('Model').selectOption('compatible:other')
  await page.getByLabel('Agent').selectOption('poet')
  await tab.send('to another model')
  await page.locator('.answer[data-status=failed]').waitFor()
  const chosen = { text: 'to another model', model: 'compatible:other', agent: 'poet' }
  await expect.poll(() => session.state.messages.at(-1), { timeout: 20_000 }).toMatchObject(chosen)
  await page.reload()
  await tab.status('Live')
  expect(await page.getByLabel('Model').inputValue()).toBe('compatible:other')
  // A server that no longer offers it.
  let agents: unknown[] = []
  await page.route('**/v1/me*', async (route) => {
    const answer = await (await route.fetch()).json()
    await route.fulfill({ json: { ...answer, offers: { models: ['demo', 'openai:*'], agents, tools: [] } } })
  })
  await page.reload()
  await page.getByRole('alert').getByText('compatible:other and poet are not available.').waitFor()
  await box.fill('not sent')
  expect(await page.getByRole('button', { name: 'Send', exact: true }).isDisabled()).toBe(true)
  await page.getByLabel('Model').selectOption('')
  await page.getByLabel('Agent').selectOption('')
  await box.fill('')
  // A new version of a message for a model that is gone asks for the current choice.
  await page.getByRole('button', { name: 'Regenerate' }).last().click()
  await expect.poll(() => session.state.messages.length, { timeout: 20_000 }).toBe(4)
  expect(session.state.messages.at(-1)).not.toHaveProperty('model')
  // A model that the server offers only by a pattern.
  const model = page.getByLabel('Model')
  await model.selectOption('Other model…')
  await model.fill('openai:small')
  await model.press('Escape')
  expect(await model.inputValue()).toBe('')
  await model.selectOption('Other model…')
  await model.fill('openai:small')
  await model.press('Enter')
  expect(await model.inputValue()).toBe('openai:small')
  expect(await page.getByText('not available').count()).toBe(0)
  await model.selectOption('')

  // Arrow-up edits the last own message, but not during a composition, and not a draft.
  await box.fill('draft')
  await box.press('ArrowUp')
  expect(await page.getByRole('textbox', { name: 'Edited text' }).count()).toBe(0)
  await box.fill('')
  await box.dispatchEvent('keydown', { key: 'ArrowUp', keyCode: 229 })
  expect(await page.getByRole('textbox', { name: 'Edited text' }).count()).toBe(0)
  await box.press('ArrowUp')
  const edited = page.getByRole('textbox', { name: 'Edited text' })
  await edited.and(page.locator(':focus')).waitFor()
  expect(await edited.inputValue()).toBe('to another model')
  await page.getByRole('button', { name: 'Cancel', exact: true }).press('Escape')
  await edited.waitFor({ state: 'detached' })

  // The sheet of shortcuts: "?" opens it, except while writing.
  await box.press('?')
  expect(await box.inputValue()).toBe('?')
  await box.fill('')
  await page.getByRole('region', { name: 'Conversation' }).press('?')
  await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).getByText('Search chats').waitFor()
  await page.keyboard.press('Escape')

  // The search of chats: words in any order, Enter opens the first result.
  const first = tab.session
  await page.getByRole('button', { name: 'New chat' }).click()
  await tab.send('What do Zürich and Bern have in common?')
  await page.locator('.answer').waitFor()
  const second = tab.session
  await page.getByRole('button', { name: 'New chat' }).click()
  await model.selectOption('Other model…')
  await model.fill('unknown')
  await model.press('Enter')
  await page.getByRole('alert').getByText('unknown is not available.').waitFor()
  expect(await welcome.getByRole('button', { name: 'What can you do?' }).isDisabled()).toBe(true)
  await page.keyboard.press('Control+k')
  const dialog = page.getByRole('dialog', { name: 'Chats' })
  const search = dialog.getByRole('searchbox', { name: 'Search chats' })
  await search.and(page.locator(':focus')).waitFor()
  await search.fill('nothing like this')
  await dialog.getByText('No chats found.').waitFor()
  // A visit without a message leaves no row.
  await search.fill('')
  await expect.poll(() => dialog.locator('.sessions a').count(), { timeout: 20_000 }).toBe(2)
  expect(await dialog.locator(`.sessions a[href*="${tab.session}"]`).count()).toBe(0)
  await search.fill('bern ZÜRICH')
  await dialog
    .locator('.sessions a')
    .and(page.locator(`[href*="${second}"]`))
    .waitFor()
  expect(await dialog.locator(`.sessions a[href*="${first}"]`).count()).toBe(0)
  await search.press('Enter')
  await page.locator('.bubble').getByText('What do Zürich').waitFor()
  expect(tab.session).toBe(second)
  // A search that fails says so, and one that ends early says where.
  let pages: object | undefined
  const row = { role: 'owner', updatedAt: 1, createdAt: 1 }
  const many = Array.from({ length: 2_000 }, (_, at) => ({ ...row, session: `many_${at}` }))
  await page.route(/\/v1\/sessions\?/, (route) => {
    if (!route.request().url().includes('before=')) return route.fulfill({ json: { sessions: [], next: 'n' } })
    return pages === undefined ? route.fulfill({ status: 503, json: {} }) : route.fulfill({ json: pages })
  })
  await page.keyboard.press('Control+k')
  await search.fill('nothing like this')
  await dialog.getByRole('alert').getByText('Couldn’t load chats.').waitFor()
  pages = { sessions: many, next: 'more' }
  await dialog.getByRole('button', { name: 'Try again' }).click()
  await dialog.getByText('Not found in the latest 2,000 chats.').waitFor()
  await page.keyboard.press('Escape')
  await page.unroute(/\/v1\/sessions\?/)
  visitor.excuse('503')

  // The export has the title as its name.
  await page.getByRole('button', { name: 'Share' }).click()
  const downloads = []
  for (const name of ['Markdown', 'JSON']) {
    downloads.push(await tab.download(page.getByRole('button', { name, exact: true })))
  }
  expect(downloads).toEqual([
    'What do Zürich and Bern have in common.md',
    'What do Zürich and Bern have in common.json',
  ])
  await page.keyboard.press('Escape')

  // The theme: the system's first, then the choice, over reloads and in other tabs.
  expect(await themeOf(page)).toBe('dark')
  const dark = await groundOf(page)
  const other = await visitor.open(world.site)
  await page.getByLabel('Theme').selectOption('light')
  expect(await themeOf(page)).toBe('light')
  expect(await groundOf(page)).not.toBe(dark)
  await other.page.locator('html[data-theme=light]').waitFor()
  // Set before the first paint: the script is a blocking one in the head.
  await page.addInitScript(() => {
    addEventListener('DOMContentLoaded', () => Object.assign(window, { early: document.documentElement.dataset.theme }))
  })
  await page.reload({ waitUntil: 'domcontentloaded' })
  expect(await page.evaluate(() => (window as { early?: string }).early)).toBe('light')
  expect(await page.locator('head > script[src="/theme.js"]:not([async], [defer], [type])').count()).toBe(1)
  await tab.status('Live')
  await page.getByLabel('Theme').selectOption('system')
  expect(await themeOf(page)).toBe('dark')
  // WebDriver BiDi cannot change the system's theme while Firefox runs.
  if (!isFirefox) {
    await page.emulateMedia({ colorScheme: 'light' })
    await page.locator('html[data-theme=light]').waitFor()
  }

  // A part that fails to render does not take the rest with it.
  agents = [null]
  await page.reload()
  await page.locator('.composer').getByText('This part couldn’t be displayed.').waitFor()
  await box.fill('The message box still works.')
  visitor.excuse('destructure')
})

it('shows streamed arguments, progress, data, sources and files of an answer', async () => {
  const visitor = await world.come()
  const tab = await visitor.open(world.site)
  const { page } = tab
  await tab.send(
    '/demo count=2 rate=0 pieces=3 sources=1 files=1 tool=demo_report input={"steps":4,"ms":700} tool=demo_report input={"steps":1}',
  )
  await page.getByRole('progressbar', { name: 'Progress' }).first().waitFor()
  await page.getByText(/[1-4] of 4 Step [1-4]/).waitFor()
  await tab.answer(0, 'completed')
  expect(await page.getByRole('progressbar').count()).toBe(0)
  expect(await page.locator('.tool').count()).toBe(2)
  expect(await page.getByText('Writing the input').count()).toBe(0)
  const source = page.getByRole('link', { name: 'Example 0' })
  expect(await source.getAttribute('href')).toBe('https://example.com/0')
  expect(await source.getAttribute('rel')).toContain('noopener')
  const picture = page.getByRole('img', { name: 'File' })
  expect(await picture.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBe(1)
  const data = page.locator('.data-part')
  expect(await data.count()).toBe(1)
  expect(await data.getByText('"rows"').isVisible()).toBe(false)
  await data.getByText('report', { exact: true }).click()
  await data.getByText('"rows"').waitFor()
})
