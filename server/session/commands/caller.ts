// Caller and Receipt: who gives a command, and what its acknowledgement carries.
import type { Cursor, Door, UserLimits } from '@parley/protocol'
import type { Seq } from '../../store/ports/entry.ts'

/** Whose command it is. */
export interface Caller {
  readonly connection: string
  readonly user: string
  /** How people call them. */
  readonly name?: string
  readonly role: string
  /** The connection's name is its client's choice, and another node may be the one that knows its tools. */
  readonly roams?: true
  /** Names of its tools, as it says itself. */
  readonly tools?: readonly string[]
  /** Through which it speaks. */
  readonly door?: Door
  /** Of an experiment that the user takes part in. */
  readonly variant?: string
  /** The span that its messages are a part of, as in `traceparent`, where they name none themselves. */
  readonly trace?: string
  /** The user's own, by its token. */
  readonly limits?: UserLimits
}

/** What came of a command. */
export interface Receipt {
  readonly seq: Seq
  readonly cursor: Cursor
  readonly message?: string
  readonly run?: string
  /** Of a claim: Unix milliseconds until which it holds. */
  readonly until?: number
  readonly duplicate?: true
  /** It ended a run: on a connection that reads this session, `ok` must not overtake the entries up to `seq`. */
  readonly final?: true
}
