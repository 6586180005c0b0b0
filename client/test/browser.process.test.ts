// Tests the SDK's build output in Chromium, over each transport, and within Chromium's limit of connections.
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { launch } from '../../web/test/browser.ts'
import { bundledPage } from '../../web/test/bundled-page.ts'
import { type Files, Middlebox, type Rules } from './middlebox.ts'
import { SDK_PAGE, type SdkInPage, sdkFiles } from './sdk-page.ts'

declare const window: { readonly sdk: SdkInPage; readonly localStorage: Storage }

let server: ServerProcess
let browser: Browser
let strictMode: Files
const boxes: Middlebox[] = []
let names = 0
const STRICT_MODE_PAGE = '/strict-mode.html'

beforeAll(async () => {
  const started = ServerProcess.start({ PARLEY_ANONYMOUS: 'yes' })
  ;[server, browser, strictMode] = await Promise.all([started, launch(), strictModePage()])
})
afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()))
  await Promise.all(boxes.splice(0).map((box) => box.close()))
})
afterAll(async () => {
  await browser.close()
  await server.dispose()
})

async function box(rules: Partial<Rules> = {}): Promise<Middlebox> {
  const made = await Middlebox.open(server.port, rules)
  made.files = sdkFiles
  boxes.push(made)
  return made
}

function strictModePage(): Promise<Files> {
  return bundledPage(STRICT_MODE_PAGE, new URL('../../web/test/strict-mode.ts', import.meta.url))
}

function name(): string {
  names += 1
  return `browser_${names}`
}

function counted(count: number): string {
  return Array.from({ length: count }, (_, i) => String(i)).join(' ')
}

/** A page with a client. */
async function visit(
  gate: Pick<Middlebox, 'url'>,
  options: Parameters<SdkInPage['open']>[0],
  tab?: Page,
): Promise<Page> {
  const page = tab === undefined ? await (await browser.newContext()).newPage() : await tab.context().newPage()
  page.setDefaultTimeout(20_000)
  await page.goto(`${gate.url}${SDK_PAGE}`)
  await page.waitForFunction(() => 'sdk' in window)
  await page.evaluate((given) => window.sdk.open(given), options)
  return page
}

function live(page: Page, session: string): Promise<void> {
  return page.evaluate((id) => window.sdk.live(id), session)
}

function ask(page: Page, session: string, text: string): Promise<string> {
  return page.evaluate(([id = '', words = '']) => window.sdk.ask(id, words), [session, text])
}

describe.each(['websocket', 'sse', 'long-poll'] as const)('in a browser, over %s', (transport) => {
  it('streams the exact text, runs a tool of the page, and cancels permanently', async () => {
    const page = await visit(await box(), { transport })
    const session = name()
    await live(page, session)
    expect(await ask(page, session, '/demo count=60 rate=100')).toBe(counted(60))
    expect(await ask(page, session, '/demo tool=here input={} count=2 rate=0')).toContain('Parley’s SDK')
    const { whole, status } = await page.evaluate(
      (id) => window.sdk.cancelled(id, '/demo count=2000 rate=100'),
      session,
    )
    expect(status).toBe('cancelled')
    expect(counted(2_000).startsWith(whole)).toBe(true)
    expect(await page.evaluate((id) => window.sdk.faults(id), session)).toBe(0)
  })
})

describe('in React’s StrictMode', () => {
  // Regression: the clean-up of the first mount closed the session permanently, and messages were lost without an error.
  it('a session that an effect opens and closes is live after each mount, and its state is a store', async () => {
    const gate = await box()
    gate.files = strictMode
    const page = await (await browser.newContext()).newPage()
    const problems: string[] = []
    page.on('pageerror', (error) => problems.push(error.message))
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text())
    })
    await page.goto(`${gate.url}${STRICT_MODE_PAGE}`)
    for (const turns of [1, 2]) {
      await page.getByText('open live 1', { exact: true }).waitFor({ timeout: 20_000 })
      await page.getByRole('button', { name: 'Send' }).click()
      await page
        .getByRole('listitem')
        .getByText('completed: 0 1 2 3 4')
        .nth(turns - 1)
        .waitFor({ timeout: 20_000 })
      await page.getByRole('button', { name: 'Mount again' }).click()
    }
    expect(problems).toEqual([])
  })
})

describe('in a browser with intermediaries', () => {
  it.each([
    [{ upgrades: 'refuse' }, { door: 'sse', why: 'blocked', moves: 0 }],
    [
      { upgrades: 'refuse', streams: 'hold' },
      { door: 'long-poll', why: 'buffered', moves: 1 },
    ],
  ] as const)('%o: it finds the transport that works', async (rules, transport) => {
    const page = await visit(await box(rules), { hurry: 5 })
    const session = name()
    await live(page, session)
    expect(await ask(page, session, '/demo count=60 rate=100')).toBe(counted(60))
    expect(await page.evaluate((door) => window.sdk.uses(door), transport.door)).toEqual(transport)
  })

  it('remembers the working transport for the next page', async () => {
    const gate = await box({ upgrades: 'refuse' })
    // The hurried clock would soon probe the better transport; this test excludes that.
    const doors = { probeMs: 10_000_000 }
    const page = await visit(gate, { hurry: 20, doors })
    await live(page, name())
    await page.waitForFunction(() => Object.keys(window.localStorage).some((key) => key.startsWith('parley.door:')))
    const { upgrades } = gate.seen
    const next = await visit(gate, { hurry: 20, doors }, page)
    expect(await next.evaluate(() => window.sdk.uses('sse'))).toEqual({ door: 'sse', why: 'remembered', moves: 0 })
    expect(gate.seen.upgrades).toBe(upgrades)
  })
})

describe('a browser’s six connections to a server', () => {
  it.each(['sse', 'long-poll'] as const)(
    'are enough for more than six sessions in a page, over %s',
    async (transport) => {
      const page = await visit(await box(), { transport })
      const sessions = Array.from({ length: 8 }, name)
      await Promise.all(sessions.map((session) => live(page, session)))
      const texts = await Promise.all(sessions.map((session) => ask(page, session, '/demo count=20 rate=100')))
      expect(texts).toEqual(sessions.map(() => counted(20)))
    },
  )

  it.each([
    ['with Web Locks', '127.0.0.1', 12],
    ['of plain HTTP, without Web Locks', 'insecure.test', 12],
  ])('are enough for many visible pages %s', async (_, host, count) => {
    const gate = await box({ upgrades: 'refuse' })
    const [url, shared] = [gate.url.replace('127.0.0.1', host), name()]
    const sessions = Array.from({ length: count }, (_, i) => (i % 2 === 0 ? shared : name()))
    const first = await (await browser.newContext()).newPage()
    const pages = await Promise.all(
      sessions.map(() => visit({ url }, { hurry: 4, doors: { probeMs: 10_000_000 } }, first)),
    )
    const tabs = pages.map((page, i) => ({ page, session: sessions[i] as string }))
    await Promise.all(tabs.map(({ page, session }) => live(page, session)))
    const open = (): Promise<void> => vi.waitFor(() => expect(gate.openStreams).toBe(4), 20_000)
    await open()
    const texts = await Promise.all(tabs.map(({ page, session }) => ask(page, session, '/demo count=5 rate=0')))
    expect(texts).toEqual(tabs.map(() => counted(5)))
    // Pages that are hidden or closed leave their streams to the others. A hidden page gets the text, too, but later.
    const [hidden, closed] = [tabs.slice(0, 2), tabs.slice(2, 4)]
    await Promise.all(hidden.map(({ page }) => page.evaluate(() => window.sdk.hide())))
    await Promise.all(closed.map(({ page }) => page.close()))
    await open()
    const later = await Promise.all(hidden.map(({ page, session }) => ask(page, session, '/demo count=5 rate=0')))
    expect(later).toEqual([counted(5), counted(5)])
  })
})
