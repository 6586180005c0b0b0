// openLimits: what bounds users and sessions on this node, as it is set: rates, runs at once, budgets. What is not set costs nothing.

import { randomBytes } from 'node:crypto'
import type { MeAnswer, UserLimits } from '@parley/protocol'
import type { Config } from '../config/config.ts'
import type { Logger } from '../config/logger.ts'
import { Budgets } from '../limit/budgets.ts'
import { CommandGate } from '../limit/command-gate.ts'
import { RunPlaces } from '../limit/run-places.ts'
import { UsageBook } from '../limit/usage-book.ts'
import type { RunAdmission } from '../session/commands/run-admission.ts'
import type { RunNotices } from '../store/ports/run-notices.ts'
import type { UsageLedger } from '../store/ports/usage-ledger.ts'

export interface LimitsStores {
  readonly usage: UsageLedger
  /** Left out: there is no other node. */
  readonly runNotices?: RunNotices
}

export interface LimitsPorts extends LimitsStores {
  readonly logger: Logger
}

export interface Limits {
  readonly gate: CommandGate
  readonly budgets: Budgets | undefined
  readonly places: RunPlaces | undefined
  readonly entrance: RunAdmission | undefined
  /** What a user may use, and what is left; of a session, too, where one is given. */
  account(user: string, limits: UserLimits | undefined, session?: string): Promise<Omit<MeAnswer, 'user' | 'name'>>
  /** Writes what was spent. */
  close(): Promise<void>
}

export function openLimits(config: Config, { usage, runNotices, logger }: LimitsPorts): Limits {
  const { userRate, userBurst, addressRate, addressBurst, userRuns, userBudget, sessionBudget, jwtLimitsClaim } = config
  const gate = new CommandGate({
    user: userRate === undefined ? undefined : { perSecond: userRate, burst: userBurst },
    address: addressRate === undefined ? undefined : { perSecond: addressRate, burst: addressBurst },
  })
  const hasClaims = jwtLimitsClaim !== undefined
  const places =
    hasClaims || userRuns !== undefined ? new RunPlaces({ most: userRuns, notices: runNotices }) : undefined
  const hasBudgets = hasClaims || userBudget !== undefined || sessionBudget !== undefined
  const writer = `${config.node}-${randomBytes(6).toString('hex')}`
  const book = hasBudgets ? new UsageBook({ ledger: usage, writer, logger }) : undefined
  const budgets = book && new Budgets({ book, user: userBudget, session: sessionBudget })

  const entrance: RunAdmission = {
    async enter({ user, limits, session, run, replaces }) {
      await budgets?.check({ user, session, budget: limits?.budget })
      places?.enter(user, run, limits?.runs, replaces)
    },
    leave: (user, run) => places?.leave(user, run),
  }

  return {
    gate,
    budgets,
    places,
    entrance: budgets === undefined && places === undefined ? undefined : entrance,

    async account(user, limits, session) {
      const most = places?.mostOf(limits?.runs)
      const left = await budgets?.left({ user, session, budget: limits?.budget })
      return {
        ...(most === undefined || places === undefined ? {} : { runs: { active: places.count(user), most } }),
        ...(left?.user === undefined ? {} : { budget: left.user }),
        ...(left?.session === undefined ? {} : { sessionBudget: left.session }),
      }
    },

    async close() {
      places?.close()
      budgets?.stopLooking()
      await book?.close()
    },
  }
}
