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
    writeFileSync(join(folder, name), text.replaceAll('http://127.0.0.1:8080', url))
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
