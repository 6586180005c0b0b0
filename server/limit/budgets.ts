// Budgets: whether a run may begin, and that those under way stop when a budget is used up. A run is paid by the user whose
// message began it, and by its session. Nothing is done for a token: what runs have used is looked at now and then.
import { type Budget, type BudgetLeft, ReplyError } from '@parley/protocol'
import { userKey } from '../store/ports/session-directory.ts'
import type { Counter } from '../store/ports/usage-ledger.ts'
import { windowOf } from './budget.ts'
import type { UsageBook } from './usage-book.ts'

export interface BudgetsOptions {
  readonly book: UsageBook
  /** Of each user whose token names none. */
  readonly user?: Budget | undefined
  readonly session?: Budget | undefined
  /** Unix milliseconds; default `Date.now`. */
  readonly now?: () => number
  /** Milliseconds between two looks at what runs have used; default 250. */
  readonly lookMs?: number
}

export interface Payer {
  /** Undefined: nobody is known; then the session alone pays. */
  readonly user: string | undefined
  readonly session: string | undefined
  /** By the user's token. */
  readonly budget: Budget | undefined
}

export interface SpendingRun {
  /** Tokens that it has used so far, by what is known. */
  used(): number
  /** A budget is used up. */
  over(): void
}

export interface Spending {
  /** Tokens that may still be used; below 0 when others used them meanwhile. */
  readonly left: number
  /** So many more will be used, and are not among `used` yet. */
  expect(tokens: number): void
  /** It uses no more: what it has used is counted. */
  close(): void
}

interface Account {
  readonly name: string
  readonly budget: Budget
}

const LOOK_MS = 250

export class Budgets {
  readonly #options: BudgetsOptions
  readonly #now: () => number
  readonly #open = new Set<OpenSpending>()
  /** What is expected by runs under way here, by account. */
  readonly #expected = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined

  constructor(options: BudgetsOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  /** @throws ReplyError budget_exceeded */
  async check(payer: Payer): Promise<void> {
    for (const { whose, left, resetsAt } of await this.#lefts(payer)) {
      if (left > 0) continue
      const when = new Date(resetsAt).toISOString()
      const retryAfterMs = Math.max(0, resetsAt - this.#now())
      throw new ReplyError('budget_exceeded', `The ${whose}'s tokens are used up until ${when}.`, { retryAfterMs })
    }
  }

  /** What is left to the user, and to the session; undefined where nothing bounds it. */
  async left(
    payer: Payer,
  ): Promise<{ readonly user: BudgetLeft | undefined; readonly session: BudgetLeft | undefined }> {
    const lefts = await this.#lefts(payer)
    const of = (name: 'user' | 'session'): BudgetLeft | undefined => {
      const found = lefts.find(({ whose }) => whose === name)
      if (found === undefined) return undefined
      const { whose: _, left, ...rest } = found
      return { ...rest, left: Math.max(0, left) }
    }
    return { user: of('user'), session: of('session') }
  }

  /** A run begins to use tokens; undefined: nothing bounds it. */
  async open(payer: Payer, run: SpendingRun): Promise<Spending | undefined> {
    const accounts = this.#accounts(payer)
    if (accounts.length === 0) return undefined
    await Promise.all(accounts.map((account) => this.#options.book.known(this.#counter(account))))
    const spending = new OpenSpending(accounts, run, {
      book: this.#options.book,
      expected: this.#expected,
      counter: (account) => this.#counter(account),
      closed: (closed) => this.#open.delete(closed),
    })
    this.#open.add(spending)
    this.#timer ??= setInterval(() => this.#look(), this.#options.lookMs ?? LOOK_MS)
    return spending
  }

  /** Counts what is not counted yet, and looks no more. */
  stopLooking(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    for (const spending of [...this.#open]) spending.close()
  }

  #look(): void {
    // First what all have used, then who may go on.
    for (const spending of this.#open) spending.count()
    for (const spending of [...this.#open]) spending.stopIfOver()
    if (this.#open.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  async #lefts(payer: Payer) {
    const { book } = this.#options
    const accounts = this.#accounts(payer)
    await Promise.all(accounts.map((account) => book.known(this.#counter(account))))
    return accounts.map((account) => {
      const { name, budget } = account
      const sum = book.sum(this.#counter(account))
      return {
        whose: name.startsWith('u-') ? ('user' as const) : ('session' as const),
        ...budget,
        spent: sum,
        left: budget.tokens - sum - (this.#expected.get(name) ?? 0),
        resetsAt: windowOf(budget.windowMs, this.#now()).endsAt,
      }
    })
  }

  #accounts({ user, session, budget }: Payer): readonly Account[] {
    const own = user === undefined ? undefined : (budget ?? this.#options.user)
    const shared = session === undefined ? undefined : this.#options.session
    return [
      ...(own === undefined || user === undefined ? [] : [{ name: `u-${userKey(user)}`, budget: own }]),
      ...(shared === undefined ? [] : [{ name: `s-${session}`, budget: shared }]),
    ]
  }

  #counter({ name, budget: { windowMs } }: Account): Counter {
    return { account: name, windowMs, index: windowOf(windowMs, this.#now()).index }
  }
}

interface SpendingPorts {
  readonly book: UsageBook
  readonly expected: Map<string, number>
  /** The account's counter of now. */
  counter(account: Account): Counter
  closed(spending: OpenSpending): void
}

class OpenSpending implements Spending {
  readonly #accounts: readonly Account[]
  readonly #run: SpendingRun
  readonly #ports: SpendingPorts
  /** Kept in the book: of the window in which it was last counted. */
  #held: readonly Counter[]
  #counted = 0
  #expected = 0
  #isOpen = true
  #isOver = false

  constructor(accounts: readonly Account[], run: SpendingRun, ports: SpendingPorts) {
    this.#accounts = accounts
    this.#run = run
    this.#ports = ports
    this.#held = accounts.map((account) => ports.counter(account))
    for (const counter of this.#held) ports.book.hold(counter)
  }

  get left(): number {
    this.count()
    const { book, expected } = this.#ports
    const lefts = this.#accounts.map((account, index) => {
      return account.budget.tokens - book.sum(this.#held[index] as Counter) - (expected.get(account.name) ?? 0)
    })
    return Math.min(...lefts)
  }

  expect(tokens: number): void {
    const { expected } = this.#ports
    for (const { name } of this.#accounts) {
      const now = (expected.get(name) ?? 0) + tokens - this.#expected
      if (now === 0) expected.delete(name)
      else expected.set(name, now)
    }
    this.#expected = tokens
  }

  /** What it has used since the last time goes to the windows of now. An estimate that was too high waits for the rest. */
  count(): void {
    if (!this.#isOpen) return
    this.#followWindows()
    const used = this.#run.used()
    const more = used - this.#counted
    if (more <= 0) return
    this.#counted = used
    for (const counter of this.#held) this.#ports.book.spend(counter, more)
  }

  stopIfOver(): void {
    if (this.#isOver || !this.#isOpen || this.left >= 0) return
    this.#isOver = true
    this.#run.over()
  }

  close(): void {
    if (!this.#isOpen) return
    this.count()
    this.expect(0)
    this.#isOpen = false
    for (const counter of this.#held) this.#ports.book.release(counter)
    this.#ports.closed(this)
  }

  #followWindows(): void {
    const { book, counter: counterOf } = this.#ports
    this.#held = this.#accounts.map((account, index) => {
      const now = counterOf(account)
      const held = this.#held[index] as Counter
      if (held.index === now.index) return held
      book.release(held)
      book.hold(now)
      void book.known(now)
      return now
    })
  }
}
