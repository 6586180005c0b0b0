// The programs of docs/front-ends.md, as a new project gets them: with packed packages of Parley, bundled by Vite, in Chromium. Each streams
// an answer, and shows the whole of it after a reload in the middle. `npm run pack:check` follows the README of each package.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Middlebox } from '../../client/test/middlebox.ts'
import { CACHE } from '../../scripts/programs.mjs'
import { demoCount } from '../../server/test/strict-client.ts'
import { PageWorld } from '../../web/test/page-world.ts'
import { run } from './toolchains.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SOURCE = join(ROOT, 'examples/front-ends')
const PACKAGES = ['protocol', 'client', 'react', 'ai-sdk']
const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' }

/** The part of assistant-ui's runtime that the test uses. */
interface Composer {
  setText(text: string): void
  send(options: { readonly steer: boolean }): void
  getState(): { readonly queue: readonly { readonly id: string }[] }
  removeQueueItem(id: string): void
  moveQueueItem(id: string, placement: { readonly lane: 'steer'; readonly insertAfter: null }): void
}
declare global {
  interface Window {
    runtime: { readonly thread: { readonly composer: Composer } }
  }
}

const PROGRAMS = ['use-chat', 'react-hooks', 'assistant-ui', 'ag-ui', 'plain']

let world: PageWorld
let box: Middlebox
beforeAll(async () => {
  world = await PageWorld.start()
  box = await Middlebox.open(world.server.port)
  const built = build(box.url)
  box.files = (path) => {
    const [name = ''] = path.split('?')
    if (name === '/favicon.ico') return { type: 'image/x-icon', body: '' }
    const file = join(built, name)
    const type = TYPES[extname(name)]
    return type !== undefined && existsSync(file) ? { type, body: readFileSync(file, 'utf8') } : undefined
  }
})
afterEach(() => world.leave())
afterAll(async () => {
  await box?.close()
  await world?.dispose()
})

/** @param url the address of the server, which replaces the one in the programs @returns the folder of the bundles */
function build(url: string): string {
  const folder = join(CACHE, 'clients', 'front-ends')
  mkdirSync(folder, { recursive: true })
  for (const name of readdirSync(folder)) if (name !== 'node_modules') rmSync(join(folder, name), { recursive: true })
  cpSync(SOURCE, folder, { recursive: true })
  for (const name of readdirSync(folder)) {
    if (!/\.(tsx?|html)$/.test(name)) continue
    const text = readFileSync(join(folder, name), 'utf8')
      .replaceAll('http://127.0.0.1:8080', url)
      .replace('runtime={useParleyRuntime()}', 'runtime={(window.runtime = useParleyRuntime())}')
    writeFileSync(join(folder, name), text)
  }
  run(['npm', 'pack', '--silent', '--pack-destination', folder, ...PACKAGES.flatMap((name) => ['-w', name])], ROOT)
  const tarballs = readdirSync(folder).filter((name) => name.endsWith('.tgz'))
  // Tarballs of the same version may have changed.
  rmSync(join(folder, 'node_modules/@parley'), { recursive: true, force: true })
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', '--no-package-lock']
  run(['npm', 'install', ...flags, ...tarballs.map((name) => `./${name}`)], folder)
  const { status, stderr, stdout } = spawnSync('npm', ['run', 'build'], { cwd: folder, encoding: 'utf8' })
  if (status !== 0) throw new Error(`The programs cannot be bundled: ${stderr || stdout}`)
  return join(folder, 'dist')
}

describe.each(PROGRAMS)('%s', (program) => {
  it('has fewer than 60 lines', () => {
    const names = readdirSync(SOURCE).filter((name) => name.startsWith(`${program}.`) && !name.endsWith('.html'))
    const [name = `${program}.html`] = names
    expect(readFileSync(join(SOURCE, name), 'utf8').split('\n').length).toBeLessThan(61)
  })

  it('streams an answer, also over a reload and a cut, and shows all of it', async () => {
    const visitor = await world.come()
    const { page } = await visitor.open(`${box.url}/${program}.html`)
    await send(page, '/demo count=5 rate=0')
    await answered(page, 0, demoCount(5))
    await send(page, '/demo count=60 rate=20 ttft=0')
    await answer(page, 1).filter({ hasText: '0 1 2' }).waitFor()
    await page.reload()
    await answer(page, 1).filter({ hasText: ' 20 ' }).waitFor()
    box.cut()
    await answered(page, 1, demoCount(60))
    expect(await page.locator('[data-role=user]').allTextContents()).toHaveLength(2)
    // The client of AG-UI logs a broken stream, and leaves a promise without a handler.
    if (program === 'ag-ui') visitor.excuse('network error')
  })
})

describe('the queue of assistant-ui', () => {
  it('keeps messages for the next answers, removes one, and moves another to the steer lane', async () => {
    const visitor = await world.come()
    const { page } = await visitor.open(`${box.url}/assistant-ui.html#lanes`)
    const queue = page.locator('li')
    await send(page, '/demo count=400 rate=40 ttft=0')
    await answer(page, 0).filter({ hasText: '0 1 2' }).waitFor()
    for (const count of [2, 3, 4]) await page.evaluate(queueMessage, `/demo count=${count} rate=0`)
    await expect.poll(() => queue.allTextContents()).toEqual([2, 3, 4].map((count) => `/demo count=${count} rate=0`))
    expect(await page.locator('[data-role=user]').count()).toBe(1)
    const items = await page.evaluate(() => window.runtime.thread.composer.getState().queue.map(({ id }) => id))
    await page.evaluate(([first = '', second = '']) => {
      const { composer } = window.runtime.thread
      composer.removeQueueItem(first)
      composer.moveQueueItem(second, { lane: 'steer', insertAfter: null })
    }, items)
    await expect.poll(() => queue.allTextContents()).toEqual(['/demo count=4 rate=0'])
    // While an answer is written, the button sends to the steer lane.
    await send(page, 'Thanks.')
    await page.getByRole('button', { name: 'Stop' }).click()
    await expect.poll(() => page.locator('[data-role=assistant]').last().textContent()).toBe(demoCount(4))
    const { entries } = (await (
      await fetch(`http://127.0.0.1:${world.server.port}/v1/sessions/lanes/events`)
    ).json()) as { entries: { event: Record<string, unknown> }[] }
    const policies = entries.flatMap(({ event }) => (event.type === 'message' ? [event.policy] : []))
    expect(policies).toEqual(['queue', 'queue', 'queue', 'queue', 'steer', 'steer'])
  })
})

/** Sends to the queue lane, for which the program has no button. */
function queueMessage(text: string): void {
  const { composer } = window.runtime.thread
  composer.setText(text)
  composer.send({ steer: false })
}

async function send(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message').fill(text)
  await page.getByRole('button', { name: 'Send' }).click()
}

function answer(page: Page, at: number) {
  return page.locator('[data-role=assistant]').nth(at)
}

async function answered(page: Page, at: number, text: string): Promise<void> {
  await expect.poll(() => answer(page, at).textContent(), { timeout: 20_000 }).toBe(text)
}
