// The browser for tests: the system's Chromium, and visitors that record the problems of their pages.
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
  type WebSocket,
} from 'playwright-core'
import { CHROMIUM, requireProgram } from '../../scripts/programs.mjs'

/** No sandbox, because tests run as root in containers; no background traffic. */
const FLAGS = [
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

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: requireProgram(CHROMIUM), args: FLAGS })
}

/** A user with a separate browser context, and the problems of its pages. */
export class Visitor {
  readonly context: BrowserContext
  /** Errors in the console, uncaught ones, and violations of the content security policy. */
  readonly problems: string[] = []
  /** The number of WebSockets that the pages opened, and the types of the frames that they sent. */
  readonly sockets = { count: 0, sent: [] as string[] }

  private constructor(context: BrowserContext) {
    this.context = context
  }

  static async come(browser: Browser, options: BrowserContextOptions = {}): Promise<Visitor> {
    const visitor = new Visitor(await browser.newContext({ viewport: { width: 1_000, height: 720 }, ...options }))
    visitor.context.setDefaultTimeout(20_000)
    // The console reports most violations; this event reports all.
    await visitor.context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sourceFile }) => {
        throw new Error(`policy violated: ${violatedDirective} by ${blockedURI} in ${sourceFile}`)
      })
    })
    visitor.context.on('dialog', (dialog) => {
      visitor.problems.push(`dialog: ${dialog.message()}`)
      return dialog.dismiss()
    })
    visitor.context.on('page', (page) => page.on('websocket', (socket) => visitor.#note(socket)))
    visitor.context.on('weberror', (event) => visitor.problems.push(String(event.error())))
    visitor.context.on('console', (message) => {
      // Chromium logs every refused or broken connection; the page cannot prevent it.
      const refused = /net::ERR_(CONNECTION_(REFUSED|RESET|CLOSED)|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED)/.test(
        message.text(),
      )
      if (['error', 'warning'].includes(message.type()) && !refused) visitor.problems.push(message.text())
    })
    return visitor
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

  #note(socket: WebSocket): void {
    this.sockets.count += 1
    socket.on('framesent', ({ payload }) => {
      const type = /"type":"([a-z.]+)"/.exec(String(payload))?.[1]
      if (type !== undefined) this.sockets.sent.push(type)
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

  /** Waits until the answer at this index contains the words. */
  async streams(at: number, words: string): Promise<void> {
    await this.page.locator('.answer').nth(at).locator('> .text').filter({ hasText: words }).waitFor()
  }
}
