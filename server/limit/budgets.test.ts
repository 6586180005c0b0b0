// Budgets over a real ledger in a data folder: what is left, who is refused, who is stopped, what is known after a restart.
// Runs are numbers that a test raises.
import { ReplyError } from '@parley/protocol'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { StorageError } from '../store/ports/errors.ts'
import type { LedgerListener, Tally, UsageLedger } from '../store/ports/usage-ledger.ts'
import { LmdbHarness } from '../store/test/lmdb-harness.ts'
import { Budgets, type BudgetsOptions, type Payer } from './budgets.ts'
import { UsageBook, type UsageBookOptions } from './usage-book.ts'

const DAY = 86_400_000
const logger = pino({ enabled: false })
const ANN: Payer = { user: 'ann', session: 's', budget: undefined }

/** A run as its owner tells of it. */
class Run {
  tokens = 0
  readonly stopped: Promise<void>
  isOver = false
  #stop: () => void = () => undefined

  constructor() {
    this.stopped = new Promise((resolve) => {
      this.#stop = resolve
    })
  }

  used(): number {
    return this.tokens
  }

  over(): void {
    this.isOver = true
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
  book: Partial<UsageBookOptions> = {},
): Budgets & { readonly stop: () => Promise<void> } {
  const own = new UsageBook({ ledger: harness.usage, writer: `n${nodes++}`, logger, writeMs: 5, ...book })
  const budgets = new Budgets({ book: own, now: () => now, lookMs: 5, ...options })
  const stop = async (): Promise<void> => {
    budgets.stopLooking()
    await own.close()
  }
  open.push(stop)
  return Object.assign(budgets, { stop })
}

async function code(asking: Promise<unknown>): Promise<string | undefined> {
  return asking.then(
    () => undefined,
    (error: unknown) => (error instanceof ReplyError ? error.code : 'other'),
  )
}

it('costs nothing where nothing is set', async () => {
  const budgets = node({})
  expect(await budgets.open(ANN, new Run())).toBeUndefined()
  expect(await budgets.left(ANN)).toEqual({ user: undefined, session: undefined })
})

it('tells what is left, and refuses when nothing is, until the window is over', async () => {
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

it('stops every run of an account when they have used it up together, and no other', async () => {
  const budgets = node()
  const [one, two, other] = [new Run(), new Run(), new Run()]
  await budgets.open(ANN, one)
  await budgets.open({ ...ANN, session: 't' }, two)
  await budgets.open({ ...ANN, user: 'bob' }, other)
  one.tokens = 60
  two.tokens = 41
  other.tokens = 99
  await Promise.all([one.stopped, two.stopped])
  expect(other.isOver).toBe(false)
})

it('takes from a session whoever pays, and goes by the smaller of two budgets', async () => {
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

it('goes by the budget of the user’s token in the place of the general one', async () => {
  const budgets = node()
  const rich = { ...ANN, budget: { tokens: 1_000, windowMs: DAY } }
  const spending = await budgets.open(rich, new Run())
  expect(spending?.left).toBe(1_000)
  expect(await code(budgets.check({ ...ANN, budget: { tokens: 0, windowMs: DAY } }))).toBe('budget_exceeded')
})

it('counts what runs expect to use, until it is used', async () => {
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

it('counts into the window in which it is used', async () => {
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

it('knows after a restart, and after a crash, what was written before', async () => {
  const first = node()
  const run = new Run()
  const spending = await first.open(ANN, run)
  run.tokens = 40
  spending?.close()
  await first.stop()
  await harness.reopen()
  const second = node()
  expect((await second.left(ANN)).user?.spent).toBe(40)
  const next = new Run()
  const again = await second.open(ANN, next)
  next.tokens = 15
  again?.close()
  await second.stop()
  await harness.crash()
  expect((await node().left(ANN)).user?.spent).toBe(55)
})

it('goes on with its own count of an account that it had forgotten', async () => {
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
  await budgets.stop()
  expect((await node().left(ANN)).user?.spent).toBe(17)
})

it('goes on counting while the ledger is away, and writes it when it is back', async () => {
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
  // Another node had told before it went away.
  const [counter] = await counterOf(budgets, run, put)
  listener?.told({ ...counter, writer: 'elsewhere', total: 50 })
  isAway = true
  listener?.missed()
  run.tokens = 40
  expect(spending?.left).toBe(10)
  run.tokens = 51
  await run.stopped
  spending?.close()
  isAway = false
  await budgets.stop()
  expect(put.at(-1)?.total).toBe(51)
})

/** The counter that a first token goes to. */
async function counterOf(budgets: Budgets, run: Run, put: readonly Tally[]): Promise<readonly [Tally]> {
  run.tokens = 1
  await expect.poll(() => put.length).toBeGreaterThan(0)
  expect((await budgets.left(ANN)).user?.spent).toBe(1)
  const [first] = put
  if (first === undefined) throw new Error('nothing was put')
  return [first]
}
