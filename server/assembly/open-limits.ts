// openLimits: the configured limits of users and sessions on this node: rates, concurrent runs and token budgets. Limits that
// are not configured cost nothing.

import { randomBytes } from 'node:crypto'
import type { MeAnswer, UserLimits } from '@parley/protocol'
import type { Config } from '../config/config.ts'
import type { Logger } from '../config/logger.ts'
import { Budgets } from '../limit/budgets.ts'
import { CommandGate } from '../limit/command-gate.ts'
import { RunQuota } from '../limit/run-quota.ts'
import { UsageTracker } from '../limit/usage-tracker.ts'
import type { RunAdmission } from '../session/commands/run-admission.ts'
import type { RunNotices } from '../store/ports/run-notices.ts'
import type { UsageLedger } from '../store/ports/usage-ledger.ts'

export interface LimitsStores {
  readonly usage: UsageLedger
  /** Undefined on a single node. */
  readonly runNotices?: RunNotices
}

export interface LimitsPorts extends LimitsStores {
  readonly logger: Logger
}

export interface Limits {
  readonly gate: CommandGate
  readonly budgets: Budgets | undefined
  readonly runQuota: RunQuota | undefined
  readonly admission: RunAdmission | undefined
  /** The limits of a user and what remains of them; with `session`, also the session's budget. */
  account(
    user: string,
    limits: UserLimits | undefined,
    session?: string,
  ): Promise<Omit<MeAnswer, 'user' | 'name' | 'offers'>>
  /** Writes the pending usage. */
  close(): Promise<void>
}

/** The part of a node's runs that one user may have by default. */
function fairShare({ runConcurrency }: Config): number {
  return Math.max(1, Math.floor(runConcurrency / 2))
}

/** The most runs of one user that this node drives at the same time, including child runs. */
export function userConcurrency(config: Config): number {
  return Math.max(fairShare(config), config.userRuns ?? 0)
}

export function openLimits(config: Config, { usage, runNotices, logger }: LimitsPorts): Limits {
  const { userRate, userBurst, addressRate, addressBurst, userRuns, userBudget, sessionBudget, jwtLimitsClaim } = config
  const gate = new CommandGate({
    user: userRate === undefined ? undefined : { perSecond: userRate, burst: userBurst },
    address: addressRate === undefined ? undefined : { perSecond: addressRate, burst: addressBurst },
  })
  const hasClaims = jwtLimitsClaim !== undefined
  // Without authentication, everybody is the same user.
  const hasUsers = [config.jwtSecret, config.jwtSecretFile, config.jwksUrl].some((key) => key !== undefined)
  const most = userRuns ?? (hasUsers ? fairShare(config) : undefined)
  const runQuota = hasClaims || most !== undefined ? new RunQuota({ most, notices: runNotices }) : undefined
  const hasBudgets = hasClaims || userBudget !== undefined || sessionBudget !== undefined
  const writer = `${config.node}-${randomBytes(6).toString('hex')}`
  const tracker = hasBudgets ? new UsageTracker({ ledger: usage, writer, logger }) : undefined
  const budgets = tracker && new Budgets({ usage: tracker, user: userBudget, session: sessionBudget })

  const admission: RunAdmission = {
    async acquire({ user, limits, session, run, replaces }) {
      await budgets?.check({ user, session, budget: limits?.budget })
      runQuota?.acquire(user, run, limits?.runs, replaces)
    },
    release: (user, run) => runQuota?.release(user, run),
  }

  return {
    gate,
    budgets,
    runQuota,
    admission: budgets === undefined && runQuota === undefined ? undefined : admission,

    async account(user, limits, session) {
      // Not the default share, which few users ever reach.
      const configured = limits?.runs ?? userRuns
      const left = await budgets?.left({ user, session, budget: limits?.budget })
      return {
        ...(configured === undefined || runQuota === undefined
          ? {}
          : { runs: { active: runQuota.count(user), most: configured } }),
        ...(left?.user === undefined ? {} : { budget: left.user }),
        ...(left?.session === undefined ? {} : { sessionBudget: left.session }),
      }
    },

    async close() {
      runQuota?.close()
      budgets?.stop()
      await tracker?.close()
    },
  }
}
