// The browser of the page's test: Chromium as the system has it, and pages that note everything they complain about.
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
  type WebSocket,
} from 'playwright-core'

const COMMANDS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** No sandbox, because tests run as root in containers; no traffic of its own. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: executable(), args: FLAGS })
}

/** A person with a browser of their own: a context, its pages, and what went wrong in them. */
export class Visitor {
  readonly context: BrowserContext
  /** Errors in the console, uncaught ones, and violations of the content security policy. */
  readonly problems: string[] = []
  /** How many WebSockets its pages opened, and the types of the frames that went out over them. */
  readonly sockets = { count: 0, sent: [] as string[] }

  private constructor(context: BrowserContext) {
    this.context = context
  }

  static async come(browser: Browser, options: BrowserContextOptions = {}): Promise<Visitor> {
    const visitor = new Visitor(await browser.newContext({ viewport: { width: 1_000, height: 720 }, ...options }))
    visitor.context.setDefaultTimeout(20_000)
    // The console tells of most violations; this tells of all.
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
      // Chromium itself says when nobody listens on a port, or goes in mid-answer; the page cannot prevent it.
      const refused = /net::ERR_(CONNECTION_(REFUSED|RESET|CLOSED)|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED)/.test(
        message.text(),
      )
      if (['error', 'warning'].includes(message.type()) && !refused) visitor.problems.push(message.text())
    })
    return visitor
  }

  /** What Chromium itself says of something that is to happen in this test is no problem. */
  excuse(text: string): void {
    const told = this.problems.splice(0)
    this.problems.push(...told.filter((problem) => !problem.includes(text)))
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

/** The page as somebody uses it. */
export class ChatTab {
  readonly page: Page

  constructor(page: Page) {
    this.page = page
  }

  get session(): string {
    return new URL(this.page.url()).searchParams.get('session') ?? ''
  }

  /** Waits until the badge says so. */
  async status(text: string): Promise<void> {
    await this.page.getByRole('status').filter({ hasText: text }).waitFor()
  }

  async say(text: string): Promise<void> {
    const box = this.page.getByRole('textbox', { name: 'Message' })
    await box.fill(text)
    await box.press('Enter')
  }

  /** Pixels of the conversation below what is seen of it. */
  async below(): Promise<number> {
    const box = this.page.getByRole('region', { name: 'Conversation' })
    return box.evaluate((element) => element.scrollHeight - element.clientHeight - element.scrollTop)
  }

  /** The answer at this place, from 0, when it stands so. */
  async answer(at: number, status: string): Promise<string> {
    const answer = this.page.locator('.answer').nth(at)
    await answer.and(this.page.locator(`[data-status=${status}]`)).waitFor()
    return this.text(at)
  }

  /** The answer to this message, when it stands so: also where others are not in the page. */
  async answerTo(message: string, status: string): Promise<string> {
    const asked = this.page.locator('.bubble').getByText(message, { exact: true })
    const answer = this.page.locator('.turn').filter({ has: asked }).locator(`.answer[data-status=${status}]`)
    await answer.waitFor()
    return (await answer.locator('> .text').allTextContents()).join('')
  }

  async text(at: number): Promise<string> {
    return (await this.page.locator('.answer').nth(at).locator('> .text').allTextContents()).join('')
  }

  /** Waits until the answer at this place contains a word. */
  async speaks(at: number, word: string): Promise<void> {
    await this.page.locator('.answer').nth(at).locator('> .text').filter({ hasText: word }).waitFor()
  }
}

function executable(): string {
  const named = process.env.CHROMIUM_BIN ?? ''
  const folders = (process.env.PATH ?? '').split(delimiter)
  const candidates = [named, ...COMMANDS.flatMap((command) => folders.map((folder) => join(folder, command)))]
  const found = [...candidates, '/usr/bin/chromium'].find(isProgram)
  if (found === undefined) throw new Error('Chromium was not found: set CHROMIUM_BIN to its path.')
  return found
}

function isProgram(path: string): boolean {
  if (path === '') return false
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
