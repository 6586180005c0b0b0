// Agents that work together, in one browser page: who speaks, children that stream under their calls, the approval inside
// one, a button that stops one, hand-offs, and messages that name an agent.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { hasNoViolation } from './axe.ts'
import { shoot } from './browser.ts'
import { PageWorld } from './page-world.ts'

const CONFIG = `import { defineTool } from ${JSON.stringify(new URL('../../server/dist/index.js', import.meta.url))}
export default {
  agents: { lead: { agents: ['researcher'], handoff: ['support'] }, researcher: { agents: ['clerk'] }, clerk: {}, support: {} },
  tools: [defineTool({ name: 'archive', inputSchema: { type: 'object' }, approval: true, execute: () => 'found' })],
}
`
let world: PageWorld
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-agents-'))
  await writeFile(join(folder, 'parley.config.mjs'), CONFIG)
  world = await PageWorld.start({ PARLEY_CONFIG: join(folder, 'parley.config.mjs') })
})
afterAll(async () => {
  await world.leave()
  await world.dispose()
  await rm(folder, { recursive: true, force: true })
})

const asks = (agent: string, message: string): string => `ask=${agent} message={${message}}`

it('shows agents that work together as they stream, and lets people stop, approve and address one', async () => {
  const visitor = await world.come()
  const tab = await visitor.open(world.site)
  const { page } = tab
  await tab.status('Live')
  const box = page.getByRole('textbox', { name: 'Message' })
  const agents = page.locator('.answer > .agent')

  // "@" offers the agents, by keys and by pointer.
  const list = page.getByRole('listbox', { name: 'Agents' })
  const selected = list.getByRole('option', { selected: true })
  const activeOption = async (): Promise<string | null> => {
    const id = await box.getAttribute('aria-activedescendant')
    return id === null ? null : page.locator(`#${id}`).textContent()
  }
  await box.pressSequentially('@')
  await list.waitFor()
  await page
    .getByRole('status')
    .getByText(/^4 agents\. /)
    .waitFor({ state: 'attached' })
  expect(await list.getByRole('option').allTextContents()).toEqual(['@lead', '@researcher', '@clerk', '@support'])
  await box.press('ArrowDown')
  await selected.getByText('@researcher').waitFor()
  expect(await activeOption()).toBe('@researcher')
  await shoot(page, 'agents-suggested')
  await hasNoViolation(page)
  await box.press('Escape')
  await list.waitFor({ state: 'detached' })
  expect([await box.inputValue(), await activeOption()]).toEqual(['@', null])
  await box.pressSequentially('le')
  await selected.getByText('@lead').waitFor()
  await box.press('Enter')
  expect(await box.inputValue()).toBe('@lead ')
  expect(await page.locator('.turn').count()).toBe(0)
  await box.fill('@c')
  await list.getByRole('option', { name: '@clerk' }).click()
  expect(await box.inputValue()).toBe('@clerk ')

  // "@lead" names the agent, and the page says so before the message is sent.
  const endless = asks('researcher', '/demo count=100000 rate=20')
  const asking = asks(
    'researcher',
    `/demo tool=archive input={} ${asks('clerk', '/demo count=3 rate=0')} count=2 rate=0`,
  )
  await box.fill(`@lead /demo ${endless} ${asking} count=4 rate=0`)
  await page.getByRole('status').getByText('To lead', { exact: true }).waitFor()
  await box.press('Enter')
  await page.getByRole('article', { name: 'Message from You to lead' }).waitFor()
  await page.getByRole('article', { name: 'Answer from lead', exact: true }).waitFor()

  // Both children are under their calls and stream; neither is an answer of its own.
  const [first, second] = [agents.nth(0), agents.nth(1)]
  await first.locator('.child-parts > .text').filter({ hasText: '0 1 2' }).waitFor()
  await second.getByText('Needs approval').first().waitFor()
  expect(await page.locator('.answer').count()).toBe(1)
  expect(await page.locator('.turn').count()).toBe(1)
  await page.locator('.answer > .note').getByText('Waiting for researcher').waitFor()
  await page.getByRole('log').getByText('Answer started.').waitFor({ state: 'attached' })
  expect(await page.getByRole('log').getByText('continues').count()).toBe(0)
  // A child of a child. It may be collapsed, because it may have ended before the page showed it.
  const nested = second.locator('.agent[data-status=completed]').getByText('0 1 2', { exact: true })
  await nested.waitFor({ state: 'attached' })

  // A message that is added to the answer goes to the agent that speaks, whatever name it begins with.
  await page.getByRole('radio', { name: 'Steer' }).check()
  await box.fill('@support Quick!')
  await page.getByRole('status').getByText('To the agent that is answering', { exact: true }).waitFor()
  await page.getByRole('radio', { name: 'Interrupt' }).check()
  await page.getByRole('status').getByText('To support', { exact: true }).waitFor()
  await box.fill('')

  // A collapsed child says that it needs somebody.
  const fold = second.locator('> .child-run > summary')
  await fold.click()
  expect(await second.getByRole('button', { name: 'Approve' }).isVisible()).toBe(false)
  await second.locator('> .tool-head').getByText('Needs approval').waitFor()
  await shoot(page, 'agents')
  await hasNoViolation(page)
  await fold.click()
  await second.getByRole('button', { name: 'Approve' }).click()
  await second.and(page.locator('[data-status=completed]')).waitFor()
  await second.getByText('"found"').waitFor()

  // One child is stopped; its parent continues with the results.
  await first.getByRole('button', { name: 'Stop researcher' }).click()
  await first.and(page.locator('[data-status=cancelled]')).waitFor()
  await first.locator('> .tool-head').getByText('Stopped').waitFor()
  expect(await tab.answer(0, 'completed')).toContain('0 1 2 3')
  expect(await agents.getByRole('button', { name: /^Stop/ }).count()).toBe(0)

  // The search finds what a child wrote, and opens it.
  await fold.click()
  await page.keyboard.press('Control+f')
  await page.getByRole('textbox', { name: 'Find in chat' }).fill('"found"')
  await second.getByText('"found"').first().waitFor({ state: 'visible' })
  await page.keyboard.press('Escape')

  // A hand-off: the answer names both agents, the picker no longer picks the first, and the next message goes to the second.
  await page.getByLabel('Agent').selectOption('lead')
  await tab.send('/demo handoff=support reason={a refund} count=2 rate=0')
  await tab.answerTo('/demo handoff=support reason={a refund} count=2 rate=0', 'completed')
  const handed = page.locator('.answer').last()
  await handed.getByText('Handed over to support: a refund').waitFor()
  expect(await handed.locator('> .speaker').allTextContents()).toEqual(['lead', 'support'])
  await expect.poll(() => page.getByLabel('Agent').inputValue(), { timeout: 20_000 }).toBe('')
  expect(await page.getByLabel('Agent').locator('option:checked').textContent()).toBe('support (current)')
  await tab.send('/demo count=1 rate=0')
  await page.getByRole('article', { name: 'Answer from support', exact: true }).waitFor()

  // After a reload everything is there, with the ended children collapsed.
  await tab.answerTo('/demo count=1 rate=0', 'completed')
  // Tall enough for the whole chat: turns far from the visible part are not mounted.
  await page.setViewportSize({ width: 1_000, height: 2_400 })
  await page.reload()
  await tab.status('Live')
  await expect.poll(() => agents.count()).toBe(2)
  expect(await page.locator('.answer .child-run[open]').count()).toBe(0)
  expect(await page.locator('.answer > .speaker').allTextContents()).toEqual(['lead', 'lead', 'support', 'support'])

  // The inspector lists child runs below their parents, and shows their texts in the calls.
  const log = (await visitor.open(`${world.site}inspect?session=${tab.session}`)).page
  await log.setViewportSize({ width: 1_400, height: 2_000 })
  const runs = log.getByRole('region', { name: 'List of runs' })
  await runs.locator('.run').first().waitFor()
  await runs
    .getByText(/, researcher, child of run_/)
    .nth(1)
    .waitFor()
  expect(await runs.locator('[data-level="1"]').count()).toBe(2)
  expect(await runs.locator('[data-level="2"]').count()).toBe(1)
  await runs.locator('[data-level="2"]').getByRole('button', { name: 'Go to last entry' }).click()
  await log.locator('.snapshot-call .snapshot-call .snapshot-answer').getByText('0 1 2', { exact: true }).waitFor()
  await shoot(log, 'agents-inspector')
})
