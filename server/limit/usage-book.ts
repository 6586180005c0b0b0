// UsageBook: the accounts that this node knows, each with what all nodes have spent from it. Reads an account once, from then on
// hears of it, and writes its own totals now and then. Bounded: what was not used for the longest is forgotten and read again;
// what is in use, or not written yet, is not. While the store is away the last known totals go on counting.
import type { Logger } from 'pino'
import type { Subscription } from '../store/ports/session-log.ts'
import type { Counter, Tally, UsageLedger } from '../store/ports/usage-ledger.ts'
import { heard, NOTHING_SPENT, recalled, spent, type UsageCount } from './usage-count.ts'

export interface UsageBookOptions {
  readonly ledger: UsageLedger
  /** This process: no other may ever have had its name. */
  readonly writer: string
  readonly logger: Logger
  /** Milliseconds between two writes; default 500. */
  readonly writeMs?: number
  /** Accounts that are remembered; default 50,000. */
  readonly accounts?: number
}

interface Page {
  readonly counter: Counter
  count: UsageCount
  /** There while it is being read, and afterwards; undefined: it is to be read. */
  read: Promise<void> | undefined
  users: number
}

const WRITE_MS = 500
const ACCOUNTS = 50_000
/** Milliseconds that somebody waits for an account to be read. */
const READ_MS = 1_000
/** Lengths of windows of which old ones are forgotten. */
const LENGTHS = 64

export class UsageBook {
  readonly #options: UsageBookOptions
  /** The one that was used last is the last. */
  readonly #pages = new Map<string, Page>()
  readonly #dirty = new Set<Page>()
  /** The newest window of each length. */
  readonly #newest = new Map<number, number>()
  readonly #following: Subscription
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> | undefined
  #hasFailed = false

  constructor(options: UsageBookOptions) {
    this.#options = options
    this.#following = options.ledger.follow({
      told: (tally) => this.#told(tally),
      missed: () => {
        for (const page of this.#pages.values()) page.read = undefined
      },
    })
  }

  /** Tokens of all nodes, as far as this one knows. */
  sum(counter: Counter): number {
    return this.#page(counter).count.sum
  }

  /** Resolves when the account was read, or cannot be for now. */
  async known(counter: Counter): Promise<void> {
    const page = this.#page(counter)
    page.read ??= this.#read(page)
    const { read } = page
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, READ_MS)
      void read.then(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  spend(counter: Counter, tokens: number): void {
    const page = this.#page(counter)
    page.count = spent(page.count, tokens)
    this.#dirty.add(page)
    this.#timer ??= setTimeout(() => this.#write(), this.#options.writeMs ?? WRITE_MS)
  }

  /** Stays known until it is released as often. */
  hold(counter: Counter): void {
    this.#page(counter).users += 1
  }

  release(counter: Counter): void {
    this.#page(counter).users -= 1
  }

  /** Writes what is not written yet; resolves also where that cannot be. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#following.close()
    await this.#writing
    await this.#flush()
    clearTimeout(this.#timer)
  }

  #page(counter: Counter): Page {
    const key = keyOf(counter)
    const known = this.#pages.get(key)
    const page = known ?? { counter, count: NOTHING_SPENT, read: undefined, users: 0 }
    this.#pages.delete(key)
    this.#pages.set(key, page)
    if (known === undefined) {
      this.#forgetPages()
      this.#forgetWindows(counter)
    }
    return page
  }

  #forgetPages(): void {
    const most = this.#options.accounts ?? ACCOUNTS
    if (this.#pages.size <= most) return
    for (const [key, page] of this.#pages) {
      // What is used now is the last of all, and never looked at.
      if (page.users > 0 || this.#dirty.has(page)) continue
      this.#pages.delete(key)
      if (this.#pages.size <= most) return
    }
  }

  /** A window began: those before the last one are over, wherever clocks are nearly right. */
  #forgetWindows({ windowMs, index }: Counter): void {
    const newest = this.#newest.get(windowMs)
    if (newest === undefined && this.#newest.size >= LENGTHS) return
    if (newest !== undefined && newest >= index) return
    this.#newest.set(windowMs, index)
    this.#options.ledger.forget(windowMs, index - 1).catch((error: unknown) => {
      this.#options.logger.info({ err: error, windowMs }, 'old windows of budgets were not forgotten yet')
    })
  }

  /** Rejects never. */
  async #read(page: Page): Promise<void> {
    const { ledger, writer } = this.#options
    try {
      for (const tally of await ledger.load(page.counter)) {
        const isOwn = tally.writer === writer
        page.count = isOwn ? recalled(page.count, tally.total) : heard(page.count, tally.writer, tally.total)
      }
    } catch (error) {
      page.read = undefined
      this.#options.logger.warn({ err: error }, 'what an account has spent could not be read')
    }
  }

  #told(tally: Tally): void {
    if (tally.writer === this.#options.writer) return
    const page = this.#pages.get(keyOf(tally))
    // Who is not known is read when he comes.
    if (page !== undefined) page.count = heard(page.count, tally.writer, tally.total)
  }

  #write(): void {
    this.#timer = undefined
    // One at a time, so that a total never overtakes a later one.
    this.#writing ??= this.#flush().finally(() => {
      this.#writing = undefined
      if (this.#dirty.size > 0) this.#timer ??= setTimeout(() => this.#write(), this.#options.writeMs ?? WRITE_MS)
    })
  }

  /** Rejects never. */
  async #flush(): Promise<void> {
    const pages = [...this.#dirty]
    if (pages.length === 0) return
    // What this process said before has to be known first: an account that was forgotten and came back begins with it.
    await Promise.all(pages.map((page) => this.known(page.counter)))
    const writes = pages.filter(({ read }) => read !== undefined).map((page) => ({ page, total: page.count.own }))
    const { ledger, writer, logger } = this.#options
    try {
      await ledger.put(writes.map(({ page, total }) => ({ ...page.counter, writer, total })))
      for (const { page, total } of writes) if (page.count.own === total) this.#dirty.delete(page)
      if (this.#hasFailed) logger.info('what was spent is written again')
      this.#hasFailed = false
    } catch (error) {
      if (!this.#hasFailed) logger.warn({ err: error }, 'what was spent could not be written; it is tried again')
      this.#hasFailed = true
    }
  }
}

function keyOf({ account, windowMs, index }: Counter): string {
  return `${windowMs}/${index}/${account}`
}
