// Caller and Receipt: the sender of a command, and the result of the command.
import type { Cursor, Door, UserLimits } from '@parley/protocol'
import type { Seq } from '../../store/ports/entry.ts'

export interface Caller {
  readonly connection: string
  readonly user: string
  /** The display name. */
  readonly name?: string
  /** The most that the access token allows in any session. */
  readonly role: string
  /** The client chose the connection's id, and another node may know its tools. */
  readonly roams?: true
  /** Names of the caller's tools, as declared in the request. */
  readonly tools?: readonly string[]
  /** The caller's transport. */
  readonly door?: Door
  /** The user's variant of the experiment. */
  readonly variant?: string
  /** The parent span, as in `traceparent`, of messages that do not name one. */
  readonly trace?: string
  /** Limits from the access token. */
  readonly limits?: UserLimits
  /** Encrypted claims of the access token for MCP servers. */
  readonly credentials?: string
}

export interface Receipt {
  readonly seq: Seq
  readonly cursor: Cursor
  readonly message?: string
  readonly run?: string
  /** The message steers the run of another message. */
  readonly steers?: true
  /** For a claim: Unix milliseconds at which it expires. */
  readonly until?: number
  readonly duplicate?: true
  /**
   * The command ended a run: on a connection that reads this session, `ok` must not overtake the entries up to `seq`.
   */
  readonly final?: true
}
