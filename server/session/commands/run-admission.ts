// RunAdmission: decides whether a user may start a run. Checked once for each message that needs a run, before it is
// stored.
import type { UserLimits } from '@parley/protocol'

export interface RunRequest {
  readonly user: string
  /** Limits from the user's access token. */
  readonly limits: UserLimits | undefined
  readonly session: string
  readonly run: string
  /** The number of the user's runs that the new run ends. */
  readonly replaces: number
}

export interface RunAdmission {
  /** @throws ReplyError budget_exceeded, too_many_runs */
  acquire(request: RunRequest): Promise<void>
  /** Called if the message was not stored. */
  release(user: string, run: string): void
}
