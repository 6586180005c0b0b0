// CommandGate: limits the rate of commands and requests per user and per client address, over all transports and
// connections of this node. Both have token buckets of their own, and both must allow a command.
import type { CommandRateLimits, CommandVerdict } from './command-rate.ts'
import { RequestRate } from './request-rate.ts'

export interface CommandGateLimits {
  /** Undefined: no limit. */
  readonly user?: CommandRateLimits | undefined
  readonly address?: CommandRateLimits | undefined
}

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
    // A refusal by address does not charge the user: others may share that address.
    return this.waitOfAddress(address) || this.waitOfUser(user)
  }

  /** For a command whose user is not known yet. Call `waitOfUser` when it is. */
  waitOfAddress(address: string): number {
    return this.#addresses === undefined ? 0 : waitOf(this.#addresses.judge(address, performance.now()))
  }

  waitOfUser(user: string | undefined): number {
    if (this.#users === undefined || user === undefined) return 0
    return waitOf(this.#users.judge(user, performance.now()))
  }
}

function waitOf(verdict: CommandVerdict): number {
  if (verdict.kind === 'take') return 0
  return verdict.kind === 'refuse' ? verdict.retryAfterMs : IMPATIENT_MS
}
