// UsageTracker: the token usage of the accounts that this node knows, over all nodes. It reads an account once, then
// follows the ledger, and writes this process's own totals periodically. Its memory is limited: the account that was
// unused for the longest is forgotten and read again later, but never one that is in use or not written yet.
// While the store is unavailable, it continues from the last known totals.
import type { Logger } from 'pino'
import type { Subscription } from '../store/ports/session-log.ts'
import type { Counter, Tally, UsageLedger } from '../store/ports/usage-ledger.ts'
import { added, merged, NO_USAGE, restored, type UsageCount } from './usage-count.ts'

export interface UsageTrackerOptions {
  readonly ledger: UsageLedger
  /** Names this process. No other process may ever have the same name. */
  readonly writer: string
  readonly logger: Logger
  /** Milliseconds between two writes; default 500. */
  readonly writeMs?: number
  /** Accounts to remember; default 50,000. */
  readonly accounts?: number
}

interface Account {
  readonly counter: Counter
  count: UsageCount
  /** Set while the account is being read, and afterwards. Undefined: it must be read. */
  read: Promise<void> | undefined
  /** Holders that have not released it. */
  holders: number
}

const WRITE_MS = 500
const ACCOUNTS = 50_000
/** Milliseconds to wait for the read of an account. */
const READ_MS = 1_000
/** Window lengths whose old windows are deleted. */
const LENGTHS = 64

export class UsageTracker {
  readonly #options: UsageTrackerOptions
  /** Least recently used first. */
  readonly #accounts = new Map<string, Account>()
  readonly #dirty = new Set<Account>()
  /** The newest window of each length. */
  readonly #newest = new Map<number, number>()
  readonly #subscription: Subscription
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> | undefined
  #hasFailed = false

  constructor(options: UsageTrackerOptions) {
    this.#options = options
    this.#subscription = options.ledger.follow({
      updated: (tally) => this.#received(tally),
      missed: () => {
        for (const account of this.#accounts.values()) account.read = undefined
      },
    })
  }

  /** Tokens over all nodes, as far as this node knows. */
  sum(counter: Counter): number {
    return this.#account(counter).count.sum
  }

  /** Resolves when the account was read, or if it is not readable at the moment. */
  async known(counter: Counter): Promise<void> {
    const account = this.#account(counter)
    account.read ??= this.#read(account)
    const { read } = account
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, READ_MS)
      void read.then(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  spend(counter: Counter, tokens: number): void {
    const account = this.#account(counter)
    account.count = added(account.count, tokens)
    this.#dirty.add(account)
    this.#timer ??= setTimeout(() => this.#write(), this.#options.writeMs ?? WRITE_MS)
  }

  /** Keeps the account in memory until it was released as often. */
  hold(counter: Counter): void {
    this.#account(counter).holders += 1
  }

  release(counter: Counter): void {
    this.#account(counter).holders -= 1
  }

  /** Writes the remaining usage; resolves even if that fails. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#subscription.close()
    await this.#writing
    await this.#flush()
    clearTimeout(this.#timer)
  }

  #account(counter: Counter): Account {
    const key = keyOf(counter)
    const known = this.#accounts.get(key)
    const account = known ?? { counter, count: NO_USAGE, read: undefined, holders: 0 }
    this.#accounts.delete(key)
    this.#accounts.set(key, account)
    if (known === undefined) {
      this.#forgetAccounts()
      this.#forgetWindows(counter)
    }
    return account
  }

  #forgetAccounts(): void {
    const most = this.#options.accounts ?? ACCOUNTS
    if (this.#accounts.size <= most) return
    for (const [key, account] of this.#accounts) {
      // The loop never reaches the account that is used right now: it is the last one.
      if (account.holders > 0 || this.#dirty.has(account)) continue
      this.#accounts.delete(key)
      if (this.#accounts.size <= most) return
    }
  }

  /** A new window began. Windows before the previous one have ended, unless the clocks of nodes differ a lot. */
  #forgetWindows({ windowMs, index }: Counter): void {
    const newest = this.#newest.get(windowMs)
    if (newest === undefined && this.#newest.size >= LENGTHS) return
    if (newest !== undefined && newest >= index) return
    this.#newest.set(windowMs, index)
    this.#options.ledger.forget(windowMs, index - 1).catch((error: unknown) => {
      this.#options.logger.info({ err: error, windowMs }, 'failed to delete usage of past windows')
    })
  }

  /** Never rejects. */
  async #read(account: Account): Promise<void> {
    const { ledger, writer } = this.#options
    try {
      for (const tally of await ledger.load(account.counter)) {
        const isOwn = tally.writer === writer
        account.count = isOwn ? restored(account.count, tally.total) : merged(account.count, tally.writer, tally.total)
      }
    } catch (error) {
      account.read = undefined
      this.#options.logger.warn({ err: error }, 'failed to read usage')
    }
  }

  #received(tally: Tally): void {
    if (tally.writer === this.#options.writer) return
    // An account that is not known here is read when it is needed.
    const account = this.#accounts.get(keyOf(tally))
    if (account !== undefined) account.count = merged(account.count, tally.writer, tally.total)
  }

  #write(): void {
    this.#timer = undefined
    // One write at a time, so that no total overtakes a later one.
    this.#writing ??= this.#flush().finally(() => {
      this.#writing = undefined
      if (this.#dirty.size > 0) this.#timer ??= setTimeout(() => this.#write(), this.#options.writeMs ?? WRITE_MS)
    })
  }

  /** Never rejects. */
  async #flush(): Promise<void> {
    const accounts = [...this.#dirty]
    if (accounts.length === 0) return
    // The total of an account that was forgotten continues from the total that this process wrote before.
    await Promise.all(accounts.map((account) => this.known(account.counter)))
    const writes = accounts
      .filter(({ read }) => read !== undefined)
      .map((account) => ({ account, total: account.count.own }))
    const { ledger, writer, logger } = this.#options
    try {
      await ledger.put(writes.map(({ account, total }) => ({ ...account.counter, writer, total })))
      for (const { account, total } of writes) if (account.count.own === total) this.#dirty.delete(account)
      if (this.#hasFailed) logger.info('writing usage works again')
      this.#hasFailed = false
    } catch (error) {
      if (!this.#hasFailed) logger.warn({ err: error }, 'failed to write usage; retrying')
      this.#hasFailed = true
    }
  }
}

function keyOf({ account, windowMs, index }: Counter): string {
  return `${windowMs}/${index}/${account}`
}
