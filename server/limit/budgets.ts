// Budgets: refuses runs, and stops active ones, when a token budget is exhausted. A run counts against the user whose
// message started it, and against its session. No work is done per token: the usage of active runs is polled.
import { type Budget, type BudgetLeft, ReplyError } from '@parley/protocol'
import { userKey } from '../store/ports/session-directory.ts'
import type { Counter } from '../store/ports/usage-ledger.ts'
import { windowOf } from './budget.ts'
import type { UsageTracker } from './usage-tracker.ts'

export interface BudgetsOptions {
  readonly usage: UsageTracker
  /** The budget of a user whose access token contains none. */
  readonly user?: Budget | undefined
  readonly session?: Budget | undefined
  /** Unix milliseconds; default `Date.now`. */
  readonly now?: () => number
  /** Milliseconds between two polls of the usage of active runs; default 250. */
  readonly pollMs?: number
}

export interface Payer {
  /** Undefined: the user is unknown, and only the session is charged. */
  readonly user: string | undefined
  readonly session: string | undefined
  /** From the user's access token. */
  readonly budget: Budget | undefined
}

export interface SpendingRun {
  /** Tokens that it has used so far, partly estimated. */
  used(): number
  /** A budget is exhausted. */
  exhausted(): void
}

export interface Spending {
  /** Remaining tokens; negative if others used them in the meantime. */
  readonly left: number
  /** Reserves tokens that will be used, and that `used` does not include yet. */
  expect(tokens: number): void
  /** Counts the usage so far; the run uses no more. */
  close(): void
}

interface Account {
  readonly name: string
  readonly budget: Budget
}

const POLL_MS = 250

export class Budgets {
  readonly #options: BudgetsOptions
  readonly #now: () => number
  readonly #open = new Set<OpenSpending>()
  /** Tokens reserved by active runs on this node, by account. */
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
      throw new ReplyError('budget_exceeded', `The token budget of the ${whose} is exhausted. It resets at ${when}.`, {
        retryAfterMs,
      })
    }
  }

  /** The remaining budgets of the user and of the session; undefined without a limit. */
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

  /** Starts charging a run. @returns undefined if no budget applies */
  async open(payer: Payer, run: SpendingRun): Promise<Spending | undefined> {
    const accounts = this.#accounts(payer)
    if (accounts.length === 0) return undefined
    await Promise.all(accounts.map((account) => this.#options.usage.known(this.#counter(account))))
    const spending = new OpenSpending(accounts, run, {
      usage: this.#options.usage,
      expected: this.#expected,
      counter: (account) => this.#counter(account),
      closed: (closed) => this.#open.delete(closed),
    })
    this.#open.add(spending)
    this.#timer ??= setInterval(() => this.#poll(), this.#options.pollMs ?? POLL_MS)
    return spending
  }

  /** Counts the remaining usage, and stops polling. */
  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    for (const spending of [...this.#open]) spending.close()
  }

  #poll(): void {
    // Count the usage of all runs before deciding which ones may continue.
    for (const spending of this.#open) spending.count()
    for (const spending of [...this.#open]) spending.stopIfExhausted()
    if (this.#open.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  async #lefts(payer: Payer) {
    const { usage } = this.#options
    const accounts = this.#accounts(payer)
    await Promise.all(accounts.map((account) => usage.known(this.#counter(account))))
    return accounts.map((account) => {
      const { name, budget } = account
      const sum = usage.sum(this.#counter(account))
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
  readonly usage: UsageTracker
  readonly expected: Map<string, number>
  /** The counter of the account's current window. */
  counter(account: Account): Counter
  closed(spending: OpenSpending): void
}

class OpenSpending implements Spending {
  readonly #accounts: readonly Account[]
  readonly #run: SpendingRun
  readonly #ports: SpendingPorts
  /** Counters that are held in the tracker: of the window in which the run was last counted. */
  #held: readonly Counter[]
  #counted = 0
  #expected = 0
  #isOpen = true
  #isStopped = false

  constructor(accounts: readonly Account[], run: SpendingRun, ports: SpendingPorts) {
    this.#accounts = accounts
    this.#run = run
    this.#ports = ports
    this.#held = accounts.map((account) => ports.counter(account))
    for (const counter of this.#held) ports.usage.hold(counter)
  }

  get left(): number {
    this.count()
    const { usage, expected } = this.#ports
    const lefts = this.#accounts.map((account, index) => {
      return account.budget.tokens - usage.sum(this.#held[index] as Counter) - (expected.get(account.name) ?? 0)
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

  /** Charges the usage since the last call to the current windows. If an estimate was too high, later usage is offset first. */
  count(): void {
    if (!this.#isOpen) return
    this.#followWindows()
    const used = this.#run.used()
    const more = used - this.#counted
    if (more <= 0) return
    this.#counted = used
    for (const counter of this.#held) this.#ports.usage.spend(counter, more)
  }

  stopIfExhausted(): void {
    if (this.#isStopped || !this.#isOpen || this.left >= 0) return
    this.#isStopped = true
    this.#run.exhausted()
  }

  close(): void {
    if (!this.#isOpen) return
    this.count()
    this.expect(0)
    this.#isOpen = false
    for (const counter of this.#held) this.#ports.usage.release(counter)
    this.#ports.closed(this)
  }

  #followWindows(): void {
    const { usage, counter: counterOf } = this.#ports
    this.#held = this.#accounts.map((account, index) => {
      const now = counterOf(account)
      const held = this.#held[index] as Counter
      if (held.index === now.index) return held
      usage.release(held)
      usage.hold(now)
      void usage.known(now)
      return now
    })
  }
}
