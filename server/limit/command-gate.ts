// CommandGate: how many commands and requests of one user, and from one address, this node takes, over all its doors and
// connections together. Each has a bucket of its own for the user and the address; the emptier one counts.
import type { CommandRateLimits, CommandVerdict } from './command-rate.ts'
import { RequestRate } from './request-rate.ts'

export interface CommandGateLimits {
  /** Left out: any number. */
  readonly user?: CommandRateLimits | undefined
  readonly address?: CommandRateLimits | undefined
}

const TAKE: CommandVerdict = { kind: 'take' }
/** What is told to wait who did not wait when told before. */
const OUT_OF_PATIENCE_MS = 60_000

export class CommandGate {
  readonly #users: RequestRate | undefined
  readonly #addresses: RequestRate | undefined

  constructor({ user, address }: CommandGateLimits) {
    this.#users = user && new RequestRate(user)
    this.#addresses = address && new RequestRate(address)
  }

  /**
   * Milliseconds after which to come again; 0: it is taken.
   * @param user undefined where all are anonymous, or nobody is known yet
   */
  wait(user: string | undefined, address: string): number {
    if (this.#addresses === undefined && this.#users === undefined) return 0
    const now = performance.now()
    // Whom the address's bucket refuses takes nothing from the user's: somebody else may be at that address.
    const byAddress = waitOf(this.#addresses?.judge(address, now) ?? TAKE)
    if (byAddress > 0 || user === undefined) return byAddress
    return waitOf(this.#users?.judge(user, now) ?? TAKE)
  }
}

function waitOf(verdict: CommandVerdict): number {
  if (verdict.kind === 'take') return 0
  return verdict.kind === 'refuse' ? verdict.retryAfterMs : OUT_OF_PATIENCE_MS
}
