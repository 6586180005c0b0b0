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
  await expect.poll(() => session.state.messages.at(-1)?.policy, { timeout: 10_000 }).toBe('steer')
  await page.keyboard.press('Escape')
  await tab.answer(0, 'cancelled')

  // The picker: the choice goes with the message, and is remembered with the chat.
  await page.getByLabel('Model').selectOption('compatible:other')
  await page.getByLabel('Agent').selectOption('poet')
  await tab.send('to another model')
  await page.locator('.answer[data-status=failed]').waitFor()
  const chosen = { text: 'to another model', model: 'compatible:other', agent: 'poet' }
  await expect.poll(() => session.state.messages.at(-1), { timeout: 10_000 }).toMatchObject(chosen)
  await page.reload()
  await tab.status('Live')
  expect(await page.getByLabel('Model').inputValue()).toBe('compatible:other')
  // A server that no longer offers it.
  await page.route('**/v1/me*', async (route) => {
    const answer = await (await route.fetch()).json()
    await route.fulfill({ json: { ...answer, offers: { models: ['demo'], agents: [], tools: [] } } })
  })
  await page.reload()
  await page.getByRole('alert').getByText('compatible:other and poet are no longer available.').waitFor()
  await box.fill('not sent')
  expect(await page.getByRole('button', { name: 'Send', exact: true }).isDisabled()).toBe(true)
  await page.getByLabel('Model').selectOption('')
  await page.getByLabel('Agent').selectOption('')
  await box.fill('')

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
  await edited.press('Escape')

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
  await page.keyboard.press('Control+k')
  const dialog = page.getByRole('dialog', { name: 'Chats' })
  const search = dialog.getByRole('searchbox', { name: 'Search chats' })
  await search.and(page.locator(':focus')).waitFor()
  await search.fill('nothing like this')
  await dialog.getByText('No chats found.').waitFor()
  await search.fill('bern ZÜRICH')
  await dialog
    .locator('.sessions a')
    .and(page.locator(`[href*="${second}"]`))
    .waitFor()
  expect(await dialog.locator(`.sessions a[href*="${first}"]`).count()).toBe(0)
  await search.press('Enter')
  await page.locator('.bubble').getByText('What do Zürich').waitFor()
  expect(tab.session).toBe(second)

  // The export has the title as its name.
  await page.getByRole('button', { name: 'Share' }).click()
  const downloads = []
  for (const name of ['Markdown', 'JSON']) {
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name, exact: true }).click(),
    ])
    downloads.push(download.suggestedFilename())
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
  await page.emulateMedia({ colorScheme: 'light' })
  await page.locator('html[data-theme=light]').waitFor()
})
