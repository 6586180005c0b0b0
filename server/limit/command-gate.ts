// CommandGate: limits the rate of commands and requests per user and per client address, over all transports and
// connections of this node. Both have token buckets of their own, and both must allow a command.
import type { CommandRateLimits, CommandVerdict } from './command-rate.ts'
import { RequestRate } from './request-rate.ts'

export interface CommandGateLimits {
  /** Undefined: no limit. */
  readonly user?: CommandRateLimits | undefined
  readonly address?: CommandRateLimits | undefined
}

const TAKE: CommandVerdict = { kind: 'take' }
/** Milliseconds to wait for a client that ignored earlier waiting times. */
const IMPATIENT_MS = 60_000

export class CommandGate {
  readonly #users: RequestRate | undefined
  readonly #addresses: RequestRate | undefined

  constructor({ user, address }: CommandGateLimits) {
    this.#users = user && new RequestRate(user)
    this.#addresses = address && new RequestRate(address)
  }

  /**
   * @param user undefined if the user is not authenticated
   * @returns milliseconds after which to retry; 0: the command is accepted
   */
  wait(user: string | undefined, address: string): number {
    if (this.#addresses === undefined && this.#users === undefined) return 0
    const now = performance.now()
    // A refusal by address does not charge the user: others may share that address.
    const byAddress = waitOf(this.#addresses?.judge(address, now) ?? TAKE)
    if (byAddress > 0 || user === undefined) return byAddress
    return waitOf(this.#users?.judge(user, now) ?? TAKE)
  }
}

function waitOf(verdict: CommandVerdict): number {
  if (verdict.kind === 'take') return 0
  return verdict.kind === 'refuse' ? verdict.retryAfterMs : IMPATIENT_MS
}
