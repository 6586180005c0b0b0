// RunAdmission: whether a user may begin a run now. Asked once a message that wants a run of its own, before anything is stored.
import type { UserLimits } from '@parley/protocol'

export interface Entering {
  readonly user: string
  /** The user's own, by its token. */
  readonly limits: UserLimits | undefined
  readonly session: string
  /** The run that is to begin. */
  readonly run: string
  /** Runs of this user that it ends. */
  readonly replaces: number
}

export interface RunAdmission {
  /** @throws ReplyError budget_exceeded, too_many_runs */
  enter(entering: Entering): Promise<void>
  /** Nothing came of it. */
  leave(user: string, run: string): void
}
