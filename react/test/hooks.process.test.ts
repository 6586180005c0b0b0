// Tests the hooks in Chromium, in StrictMode, against a real server.
import type { ParleyClient } from '@parley/client'
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Middlebox } from '../../client/test/middlebox.ts'
import { bundledPage } from '../../web/test/bundled-page.ts'
import { PageWorld } from '../../web/test/page-world.ts'

declare const window: { readonly app: { readonly client: ParleyClient; readonly commits: Record<string, number> } }

let world: PageWorld
let box: Middlebox

beforeAll(async () => {
  const files = bundledPage('/hooks.html', new URL('hooks-app.ts', import.meta.url))
  world = await PageWorld.start({ PARLEY_ANONYMOUS: 'yes' })
  box = await Middlebox.open(world.server.port)
  box.files = await files
})
afterEach(() => world.leave())
afterAll(async () => {
  await box.close()
  await world.dispose()
})

async function open(session: string): Promise<Page> {
  const { page } = await (await world.come()).open(`${box.url}/hooks.html?session=${session}`)
  await has(page, '#status', 'live')
  return page
}

function has(page: Page, selector: string, text: string): Promise<void> {
  return page.locator(selector).filter({ hasText: text }).waitFor()
}

function commits(page: Page): Promise<Record<string, number>> {
  return page.evaluate(() => ({ ...window.app.commits }))
}

describe('the hooks in StrictMode', () => {
  it('render only the answer that grows', async () => {
    const page = await open('granular')
    const session = await world.join('granular')
    for (const count of [1, 2, 3]) await session.send(`/demo count=${count} rate=0`).result()
    await page.locator('li[data-status=completed]').nth(2).waitFor()
    await has(page, '#busy', 'false')
    // A waiting run has a turn already. Afterwards only its answer grows.
    const reply = session.send('/demo count=60 rate=60 ttft=600')
    await page.locator('li').nth(3).waitFor()
    await has(page, '#busy', 'true')
    await has(page, '#active', 'running')
    const before = await commits(page)
    await reply.result()
    await page.locator('li[data-status=completed]').nth(3).waitFor()
    await has(page, '#busy', 'false')
    const after = await commits(page)
    const grown = Object.keys(after).filter((name) => after[name] !== before[name])
    expect(grown.sort()).toEqual(['/demo count=60 rate=60 ttft=600', 'list'])
    // The list rendered once, because the run ended, and the answer at least ten times.
    expect(after.list).toBe((before.list ?? 0) + 1)
    const [name = ''] = grown
    expect((after[name] ?? 0) - (before[name] ?? 0)).toBeGreaterThan(10)
  })

  it('keep a shared session open while a component uses it, and close it afterwards', async () => {
    const page = await open('shared')
    const session = await world.join('shared')
    const isOpen = (): Promise<boolean> =>
      page.evaluate(() => window.app.client.session('shared').state.status === 'live')
    await page.getByRole('button', { name: 'Mount again' }).click()
    await has(page, '#status', 'live')
    await page.getByRole('button', { name: 'Panel' }).click()
    await session.send('/demo count=5 rate=0').result()
    await has(page, 'li .text', '0 1 2 3 4')
    expect(await isOpen()).toBe(true)
    await page.getByRole('button', { name: 'Panel' }).click()
    await has(page, '#present', '2')
  })

  it('offer a tool while its component is mounted, with the handler of the last render', async () => {
    const page = await open('tool')
    const session = await world.join('tool')
    const declared: string[][] = []
    session.watch({
      entry: ({ event }) => {
        if (event.type === 'session.updated') declared.push((event.tools ?? []).map((tool) => tool.name))
      },
      reset: () => undefined,
      ended: () => undefined,
    })
    await page.getByRole('button', { name: 'Click' }).click()
    await page.getByRole('button', { name: 'Click' }).click()
    const run = await session.send('/demo tool=set_color input={"color":"red"} count=1 rate=0').result()
    expect(run.status).toBe('completed')
    await has(page, '#color', 'red')
    await has(page, 'li code', '{"before":"white","clicks":2}')
    // Renders declared it no second time.
    expect(declared.length).toBeLessThanOrEqual(1)
    await page.getByRole('button', { name: 'Panel' }).click()
    await expect.poll(() => page.evaluate(() => window.app.client.state.status)).toBe('open')
    const later = await session.send('/demo tool=set_color input={"color":"blue"} count=1 rate=0').result()
    const call = [...session.state.calls.values()].at(-1)
    expect([later.status, call?.status]).toEqual(['completed', 'failed'])
  })

  it('show the connection, and continue after a cut', async () => {
    const page = await open('cut')
    const session = await world.join('cut')
    await has(page, '#connection', 'open')
    const result = session.send('/demo count=60 rate=60').result()
    await has(page, 'li .text', '0 1 2')
    box.cut()
    await result
    const text = Array.from({ length: 60 }, (_, i) => i).join(' ')
    await expect.poll(() => page.locator('li .text').textContent()).toBe(text)
    await has(page, '#connection', 'open')
  })
})
