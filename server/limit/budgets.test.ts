// Budgets on a real ledger in a data folder: the remaining tokens, refusals, stopped runs, and restarts. A run is a number
// that the test raises.
import { ReplyError } from '@parley/protocol'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { StorageError } from '../store/ports/errors.ts'
import type { LedgerListener, Tally, UsageLedger } from '../store/ports/usage-ledger.ts'
import { LmdbHarness } from '../store/test/lmdb-harness.ts'
import { Budgets, type BudgetsOptions, type Payer } from './budgets.ts'
import { UsageTracker, type UsageTrackerOptions } from './usage-tracker.ts'

const DAY = 86_400_000
const logger = pino({ enabled: false })
const ANN: Payer = { user: 'ann', session: 's', budget: undefined }

/** A run as its driver reports it. */
class Run {
  tokens = 0
  readonly stopped: Promise<void>
  isExhausted = false
  #stop: () => void = () => undefined

  constructor() {
    this.stopped = new Promise((resolve) => {
      this.#stop = resolve
    })
  }

  used(): number {
    return this.tokens
  }

  exhausted(): void {
    this.isExhausted = true
    this.#stop()
  }
}

let harness: LmdbHarness
let now: number
let nodes = 0
const open: (() => Promise<void>)[] = []

beforeEach(async () => {
  harness = await LmdbHarness.open()
  now = 20_000 * DAY + 5
})
afterEach(async () => {
  for (const close of open.splice(0)) await close()
  await harness.close()
})

function node(
  options: Partial<BudgetsOptions> = { user: { tokens: 100, windowMs: DAY } },
  usage: Partial<UsageTrackerOptions> = {},
): Budgets & { readonly shutDown: () => Promise<void> } {
  const own = new UsageTracker({ ledger: harness.usage, writer: `n${nodes++}`, logger, writeMs: 5, ...usage })
  const budgets = new Budgets({ usage: own, now: () => now, pollMs: 5, ...options })
  const shutDown = async (): Promise<void> => {
    budgets.stop()
    await own.close()
  }
  open.push(shutDown)
  return Object.assign(budgets, { shutDown })
}

async function code(call: Promise<unknown>): Promise<string | undefined> {
  return call.then(
    () => undefined,
    (error: unknown) => (error instanceof ReplyError ? error.code : 'other'),
  )
}

it('charges nothing without a budget', async () => {
  const budgets = node({})
  expect(await budgets.open(ANN, new Run())).toBeUndefined()
  expect(await budgets.left(ANN)).toEqual({ user: undefined, session: undefined })
})

it('reports the remaining tokens, and refuses runs from exhaustion to the end of the window', async () => {
  const budgets = node()
  const run = new Run()
  const spending = await budgets.open(ANN, run)
  expect(spending?.left).toBe(100)
  run.tokens = 30
  expect(spending?.left).toBe(70)
  const resetsAt = 20_001 * DAY
  expect((await budgets.left(ANN)).user).toEqual({ tokens: 100, windowMs: DAY, spent: 30, left: 70, resetsAt })
  run.tokens = 100
  spending?.close()
  const refusal = await budgets.check(ANN).catch((error: unknown) => error)
  expect(refusal).toMatchObject({ code: 'budget_exceeded', retryable: false, retryAfterMs: DAY - 5 })
  expect(await code(budgets.check({ ...ANN, user: 'bob' }))).toBeUndefined()
  now = resetsAt
  expect(await code(budgets.check(ANN))).toBeUndefined()
})

it('stops all runs of an account when together they exhaust it, and no others', async () => {
  const budgets = node()
  const [one, two, other] = [new Run(), new Run(), new Run()]
  await budgets.open(ANN, one)
  await budgets.open({ ...ANN, session: 't' }, two)
  await budgets.open({ ...ANN, user: 'bob' }, other)
  one.tokens = 60
  two.tokens = 41
  other.tokens = 99
  await Promise.all([one.stopped, two.stopped])
  expect(other.isExhausted).toBe(false)
})

it('charges a session for every user, and applies the smaller of two budgets', async () => {
  const budgets = node({ user: { tokens: 100, windowMs: DAY }, session: { tokens: 50, windowMs: 60_000 } })
  const run = new Run()
  const spending = await budgets.open(ANN, run)
  expect(spending?.left).toBe(50)
  run.tokens = 51
  await run.stopped
  spending?.close()
  expect(await code(budgets.check({ ...ANN, user: 'bob' }))).toBe('budget_exceeded')
  expect(await code(budgets.check({ ...ANN, session: 't' }))).toBeUndefined()
})

it('applies the budget of the access token instead of the general one', async () => {
  const budgets = node()
  const rich = { ...ANN, budget: { tokens: 1_000, windowMs: DAY } }
  const spending = await budgets.open(rich, new Run())
  expect(spending?.left).toBe(1_000)
  expect(await code(budgets.check({ ...ANN, budget: { tokens: 0, windowMs: DAY } }))).toBe('budget_exceeded')
})

it('counts reserved tokens until they are used', async () => {
  const budgets = node()
  const [one, two] = [new Run(), new Run()]
  const first = await budgets.open(ANN, one)
  const second = await budgets.open(ANN, two)
  first?.expect(80)
  expect(second?.left).toBe(20)
  first?.expect(10)
  expect(second?.left).toBe(90)
  first?.close()
  expect(second?.left).toBe(100)
})

it('charges tokens to the window in which they are used', async () => {
  const budgets = node()
  const run = new Run()
  const spending = await budgets.open(ANN, run)
  run.tokens = 90
  expect(spending?.left).toBe(10)
  now += DAY
  run.tokens = 95
  expect(spending?.left).toBe(95)
  spending?.close()
  expect((await budgets.left(ANN)).user?.spent).toBe(5)
})

it('restores written usage after a restart and after a crash', async () => {
  const first = node()
  const run = new Run()
  const spending = await first.open(ANN, run)
  run.tokens = 40
  spending?.close()
  await first.shutDown()
  await harness.reopen()
  const second = node()
  expect((await second.left(ANN)).user?.spent).toBe(40)
  const next = new Run()
  const again = await second.open(ANN, next)
  next.tokens = 15
  again?.close()
  await second.shutDown()
  await harness.crash()
  expect((await node().left(ANN)).user?.spent).toBe(55)
})

it('continues its own count of a forgotten account', async () => {
  const budgets = node(undefined, { accounts: 2 })
  const spend = async (user: string, tokens: number): Promise<void> => {
    const run = new Run()
    const spending = await budgets.open({ ...ANN, user }, run)
    run.tokens = tokens
    spending?.close()
  }
  await spend('ann', 10)
  for (let other = 0; other < 20; other += 1) await spend(`user ${other}`, 1)
  await spend('ann', 7)
  await budgets.shutDown()
  expect((await node().left(ANN)).user?.spent).toBe(17)
})

it('counts while the ledger is unavailable, and writes the usage when it returns', async () => {
  let isAway = false
  let listener: LedgerListener | undefined
  const put: Tally[] = []
  const real = harness.usage
  const ledger: UsageLedger = {
    put: async (tallies) => {
      if (isAway) throw new StorageError('unavailable')
      await real.put(tallies)
      put.push(...tallies)
    },
    load: async (counter) => {
      if (isAway) throw new StorageError('unavailable')
      return real.load(counter)
    },
    follow: (follower) => {
      listener = follower
      return { close: () => undefined }
    },
    forget: () => Promise.resolve(),
  }
  const budgets = node(undefined, { ledger })
  const run = new Run()
  const spending = await budgets.open(ANN, run)
  // Another node reported its total before the ledger failed.
  const [counter] = await counterOf(budgets, run, put)
  listener?.updated({ ...counter, writer: 'elsewhere', total: 50 })
  isAway = true
  listener?.missed()
  run.tokens = 40
  expect(spending?.left).toBe(10)
  run.tokens = 51
  await run.stopped
  spending?.close()
  isAway = false
  await budgets.shutDown()
  expect(put.at(-1)?.total).toBe(51)
})

/** The counter to which a first token is charged. */
async function counterOf(budgets: Budgets, run: Run, put: readonly Tally[]): Promise<readonly [Tally]> {
  run.tokens = 1
  await expect.poll(() => put.length).toBeGreaterThan(0)
  expect((await budgets.left(ANN)).user?.spent).toBe(1)
  const [first] = put
  if (first === undefined) throw new Error('no usage was written')
  return [first]
}
