// The browser for tests: the system's Chromium or Firefox, and visitors that record the problems of their pages.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  firefox,
  type Locator,
  type Page,
} from 'playwright-core'
import { expect, vi } from 'vitest'
import { CHROMIUM, FIREFOX, requireProgram } from '../../scripts/programs.mjs'

/** No sandbox, because tests run as root in containers; no background traffic. */
const CHROMIUM_FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  // Plain HTTP that is not loopback: pages of this host have fewer APIs.
  '--host-resolver-rules=MAP insecure.test 127.0.0.1',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

const FIREFOX_PREFERENCES = {
  'network.dns.localDomains': 'insecure.test',
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'app.update.enabled': false,
  'dom.events.testing.asyncClipboard': true,
}

/** Browsers log every refused or broken connection, and every attempt that is given up; the page cannot prevent it. */
const REFUSED = [
  /net::ERR_(CONNECTION_(REFUSED|RESET|CLOSED)|INCOMPLETE_CHUNKED_ENCODING|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED)/,
  /^WebSocket connection to \S+ failed: WebSocket is closed before the connection is established/,
  /^WebSocket connection to \S+ failed: Connection closed before receiving a handshake response/,
  /^Firefox can’t establish a connection to the server at ws/,
  /^The connection to ws\S+ was interrupted while the page was loading/,
]
/** The content security policy blocks the style with which Playwright takes pictures in Firefox. */
const PICTURES = /sha256-YjaKGiklmzC6wjXA513HAMmzus8VE61XCOT\+SmwNZWA=/

/** Set by `npm run test:firefox`. */
export const isFirefox = process.env.TEST_BROWSER === 'firefox'

/**
 * Firefox is the unmodified program, driven by WebDriver BiDi.
 * @param options those that apply to a whole Firefox
 */
export function launch(options: BrowserContextOptions = {}): Promise<Browser> {
  if (!isFirefox) return chromium.launch({ executablePath: requireProgram(CHROMIUM), args: CHROMIUM_FLAGS })
  const executablePath = requireProgram(FIREFOX)
  const firefoxUserPrefs = { ...FIREFOX_PREFERENCES, ...preferencesOf(options) }
  const { width, height } = options.viewport ?? {}
  const screen = { MOZ_HEADLESS_WIDTH: String(width), MOZ_HEADLESS_HEIGHT: String(height) }
  const env = options.hasTouch === true ? { ...process.env, ...screen } : process.env
  const downloadsPath = downloadsFolder()
  return firefox.launch({ executablePath, channel: 'moz-firefox', firefoxUserPrefs, env, downloadsPath })
}

let downloads: string | undefined

/** Firefox stores downloads here, under their suggested names. */
function downloadsFolder(): string {
  if (downloads !== undefined) return downloads
  const folder = mkdtempSync(join(tmpdir(), 'parley-downloads-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  downloads = folder
  return folder
}

/** The pointer of a phone: coarse, without hovering. */
const COARSE = 1

/** WebDriver BiDi cannot emulate these in a context; a preference does for a whole Firefox. */
function preferencesOf(options: BrowserContextOptions): Readonly<Record<string, number>> {
  const { colorScheme, reducedMotion, hasTouch } = options
  const touch = { 'ui.primaryPointerCapabilities': COARSE, 'ui.allPointerCapabilities': COARSE }
  return {
    ...(hasTouch === true ? touch : {}),
    ...(colorScheme === 'dark' ? { 'layout.css.prefers-color-scheme.content-override': 0 } : {}),
    ...(reducedMotion === 'reduce' ? { 'ui.prefersReducedMotion': 1 } : {}),
  }
}

const ARTIFACTS = fileURLToPath(new URL(`../../artifacts/${isFirefox ? 'firefox/' : ''}`, import.meta.url))

/** Takes a picture for people to look at. */
export async function shoot(page: Page, name: string, options: { fullPage?: true } = {}): Promise<void> {
  await page.screenshot({ path: `${ARTIFACTS}${name}.png`, ...options })
}

/** A user with a separate browser context, and the problems of its pages. */
export class Visitor {
  readonly context: BrowserContext
  /** Errors in the console, uncaught ones, and violations of the content security policy. */
  readonly problems: string[] = []
  /** The number of WebSockets that the pages opened, and the types of the frames that they sent. */
  readonly sockets = { count: 0, sent: [] as string[] }

  /** A browser for this visitor alone. */
  readonly #own: Browser | undefined

  private constructor(context: BrowserContext, own: Browser | undefined) {
    this.context = context
    this.#own = own
  }

  static async come(browser: Browser, options: BrowserContextOptions = {}): Promise<Visitor> {
    const { permissions = [], ...others } = options
    const settings = { viewport: { width: 1_000, height: 720 }, ...others }
    // Firefox has no such permissions; a preference allows the clipboard.
    if (!isFirefox) return Visitor.#of(await browser.newContext({ ...settings, permissions }))
    const isSpecial = Object.keys(preferencesOf(options)).length > 0
    const own = isSpecial ? await launch(options) : undefined
    return Visitor.#of(await (own ?? browser).newContext(settings), own)
  }

  static async #of(context: BrowserContext, own?: Browser): Promise<Visitor> {
    const visitor = new Visitor(context, own)
    visitor.context.setDefaultTimeout(20_000)
    // The console reports most violations; this event reports all.
    await visitor.context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sourceFile }) => {
        // From Playwright's own script.
        if (violatedDirective === 'style-src-elem' && / > eval|%3E%20eval/.test(sourceFile)) return
        throw new Error(`policy violated: ${violatedDirective} by ${blockedURI} in ${sourceFile}`)
      })
    })
    visitor.context.on('dialog', (dialog) => {
      visitor.problems.push(`dialog: ${dialog.message()}`)
      return dialog.dismiss()
    })
    await visitor.#noteSockets()
    if (isFirefox) {
      await visitor.#typeLikeAUser()
      await visitor.#logMessagesOfErrors()
    }
    const note = (text: string, url = ''): void => {
      if ([...REFUSED, PICTURES].some((pattern) => pattern.test(text))) return
      visitor.problems.push(url === '' ? text : `${text} (${url})`)
    }
    visitor.context.on('weberror', (event) => {
      const error = event.error()
      note(error.message === '' ? `${error.stack}` : `${error}`)
    })
    visitor.context.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) note(message.text(), message.location().url)
    })
    return visitor
  }

  async leave(): Promise<void> {
    await this.context.close()
    await this.#own?.close()
  }

  /** Removes the problems that a test expects. */
  excuse(text: string): void {
    const problems = this.problems.splice(0)
    this.problems.push(...problems.filter((problem) => !problem.includes(text)))
  }

  /** Sets the clock of the device wrong, in pages that are opened later. @param ms ahead of the real time */
  async setClockWrong(ms: number): Promise<void> {
    await this.context.addInitScript((shift) => {
      const { now } = Date
      Date.now = () => now() + shift
      window.Date = new Proxy(Date, {
        construct: (target, values) => Reflect.construct(target, values.length === 0 ? [target.now()] : values),
      })
    }, ms)
  }

  /** Playwright sets the value of a field directly in Firefox, which React does not notice. */
  async #typeLikeAUser(): Promise<void> {
    await this.context.addInitScript(() => {
      Object.defineProperty(window, '__pw_bidiInsertText', {
        get: () => (text: string) => void document.execCommand('insertText', false, text),
        set: () => undefined,
      })
    })
  }

  /** Playwright gets a logged error from Firefox without its message. */
  async #logMessagesOfErrors(): Promise<void> {
    await this.context.addInitScript(() => {
      const { error } = console
      console.error = (...values: unknown[]) =>
        error.apply(
          console,
          values.map((value) => (value instanceof Error ? `${value}` : value)),
        )
    })
  }

  /** In the page itself, because Firefox reports no frames. */
  async #noteSockets(): Promise<void> {
    await this.context.exposeBinding('noteSocket', (_, type: string | null) => {
      if (type === null) this.sockets.count += 1
      else this.sockets.sent.push(type)
    })
    await this.context.addInitScript(() => {
      const { noteSocket } = window as unknown as { noteSocket(type: string | null): void }
      window.WebSocket = class extends WebSocket {
        constructor(...options: ConstructorParameters<typeof WebSocket>) {
          super(...options)
          noteSocket(null)
        }

        override send(data: Parameters<WebSocket['send']>[0]): void {
          const type = /"type":"([a-z.]+)"/.exec(String(data))?.[1]
          if (type !== undefined) noteSocket(type)
          super.send(data)
        }
      }
    })
  }

  async open(url: string): Promise<ChatTab> {
    const page = await this.context.newPage()
    await page.goto(url)
    return new ChatTab(page)
  }
}

/** A tab with the chat page, as a user operates it. */
export class ChatTab {
  readonly page: Page

  constructor(page: Page) {
    this.page = page
  }

  get session(): string {
    return new URL(this.page.url()).searchParams.get('session') ?? ''
  }

  /** Waits for the badge's text. */
  async status(text: string): Promise<void> {
    await this.page.getByRole('status').filter({ hasText: text }).waitFor()
  }

  async send(text: string): Promise<void> {
    const box = this.page.getByRole('textbox', { name: 'Message' })
    await box.fill(text)
    await box.press('Enter')
  }

  /** Pixels of the conversation below its visible part. */
  async below(): Promise<number> {
    const box = this.page.getByRole('region', { name: 'Conversation' })
    return box.evaluate((element) => element.scrollHeight - element.clientHeight - element.scrollTop)
  }

  /** Waits until the answer at this index has the status. @returns its text */
  async answer(at: number, status: string): Promise<string> {
    const answer = this.page.locator('.answer').nth(at)
    await answer.and(this.page.locator(`[data-status=${status}]`)).waitFor()
    return this.text(at)
  }

  /** Waits until the answer to this message has the status. Earlier answers may be unmounted. @returns its text */
  async answerTo(message: string, status: string): Promise<string> {
    const bubble = this.page.locator('.bubble').getByText(message, { exact: true })
    const answer = this.page.locator('.turn').filter({ has: bubble }).locator(`.answer[data-status=${status}]`)
    await answer.waitFor()
    return (await answer.locator('> .text').allTextContents()).join('')
  }

  async text(at: number): Promise<string> {
    return (await this.page.locator('.answer').nth(at).locator('> .text').allTextContents()).join('')
  }

  /** Clicks on what begins a download. @returns the suggested name of the file */
  async download(button: Locator): Promise<string> {
    if (!isFirefox) {
      const [download] = await Promise.all([this.page.waitForEvent('download'), button.click()])
      return download.suggestedFilename()
    }
    // Playwright ignores Firefox's event of a download, because it names no navigation.
    const files = (): readonly string[] => readdirSync(downloadsFolder()).filter((name) => !name.endsWith('.part'))
    const before = files()
    await button.click()
    return vi.waitFor(() => {
      const [name = ''] = files().filter((file) => !before.includes(file))
      expect(name).not.toBe('')
      return name
    }, 20_000)
  }

  /** Waits until the answer at this index contains the words. */
  async streams(at: number, words: string): Promise<void> {
    await this.page.locator('.answer').nth(at).locator('> .text').filter({ hasText: words }).waitFor()
  }
}
