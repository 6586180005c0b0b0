// SessionService: every command of a client, whatever door it came through, as appends to the session's
// log. Keeps nothing that the log does not, but for who is here with which tools.
import {
  type Cancel,
  type Cursor,
  formatCursor,
  ReplyError,
  type Send,
  type Tool,
  type ToolClaim,
  type ToolDecide,
  type ToolResultCommand,
} from '@parley/protocol'
import type { Logger } from 'pino'
import type { Seq } from '../log/entry.ts'
import { CursorLost, StorageError } from '../log/log-error.ts'
import type { RunQueue } from '../log/run-queue.ts'
import { asReplyError } from './compare-and-append.ts'
import { endRun } from './end-run.ts'
import { send } from './send.ts'
import type { Session, SessionStores } from './session.ts'
import type { SessionCache } from './session-cache.ts'
import { activeRun, findCommand, findRun } from './session-state.ts'
import { ToolDesk } from './tool-desk.ts'

/** Whose command it is. */
export interface Caller {
  readonly connection: string
  readonly user: string
  readonly role: string
  /** The connection's name is its client's choice, and another node may be the one that knows its tools. */
  readonly roams?: true
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

/** Each throws ReplyError, and nothing else on purpose. */
export interface SessionService {
  send(command: Send, caller: Caller): Promise<Receipt>
  cancel(command: Cancel, caller: Caller): Promise<Receipt>
  claim(command: ToolClaim, caller: Caller): Promise<Receipt>
  result(command: ToolResultCommand, caller: Caller): Promise<Receipt>
  decide(command: ToolDecide, caller: Caller): Promise<Receipt>
  /** The connection is in the session with these tools. */
  arrive(session: string, caller: Caller, tools: readonly Tool[]): Promise<void>
  /** The connection has left the session: its claims are given up. */
  leave(session: string, connection: string): void
}

export interface SessionServiceOptions {
  readonly stores: SessionStores & { readonly runs: RunQueue }
  readonly sessions: SessionCache
  /** @throws ReplyError model_not_allowed, agent_not_found */
  readonly checkChoice: (model: string | undefined, agent: string | undefined) => void
  readonly serverTools: ReadonlySet<string>
  /** Milliseconds that a tool claim holds. */
  readonly leaseMs: number
  readonly logger: Logger
  readonly now?: () => number
}

export function createSessionService(options: SessionServiceOptions): SessionService {
  const { stores, sessions, logger } = options
  const { log } = stores
  const desk = new ToolDesk(log, {
    leaseMs: options.leaseMs,
    serverTools: options.serverTools,
    now: options.now ?? Date.now,
  })

  async function within<T>(id: string, use: (session: Session) => Promise<T>): Promise<T> {
    try {
      return await sessions.with(id, use)
    } catch (error) {
      const reply = asReplyError(error)
      if (reply instanceof ReplyError) throw reply
      if (error instanceof CursorLost) throw new ReplyError('unavailable', undefined, { cause: error })
      // A wait for the state to catch up that ran into its bound.
      if (error instanceof DOMException) throw new ReplyError('unavailable', undefined, { cause: error })
      throw error
    }
  }

  const receipt = <T extends { readonly seq: Seq }>(sent: T): T & { cursor: Cursor } => ({
    ...sent,
    cursor: formatCursor(log.epoch, sent.seq),
  })

  return {
    async send(command, caller) {
      options.checkChoice(command.model, command.agent)
      return within(command.session, async (session) =>
        receipt(await send(stores, session, command, caller.user, desk.offered(command.session))),
      )
    },

    async cancel(command, caller) {
      return within(command.session, async (session) => {
        const before = findCommand(session.state, command.id)
        if (before?.message !== undefined) throw new ReplyError('command_id_reused')
        if (before !== undefined) {
          const run = before.run === undefined ? {} : { run: before.run }
          return receipt({ seq: before.seq, ...run, duplicate: true as const, final: true as const })
        }
        const view = command.run === undefined ? activeRun(session.state) : findRun(session.state, command.run)
        if (view === undefined) throw new ReplyError(command.run === undefined ? 'no_active_run' : 'run_not_found')
        const seen = command.seen?.run === view.id ? { seen: command.seen } : {}
        const end = { reason: 'cancelled' as const, by: caller.user, command: command.id, ...seen }
        const entry = await endRun(log, session, view.id, end)
        const ended = findRun(session.state, view.id)
        const duplicate =
          entry === undefined && ended?.ended?.command === command.id ? { duplicate: true as const } : {}
        return receipt({
          seq: entry?.seq ?? ended?.last ?? session.state.seq,
          run: view.id,
          ...duplicate,
          final: true as const,
        })
      })
    },

    claim: (command, caller) =>
      within(command.session, async (session) => receipt(await desk.claim(session, command, caller))),

    result: (command, caller) =>
      within(command.session, async (session) => receipt(await desk.result(session, command, caller))),

    decide: (command, caller) =>
      within(command.session, async (session) => receipt(await desk.decide(session, command, caller))),

    async arrive(id, caller, tools) {
      // Most connections bring no tools: then the session need not be folded for them.
      if (tools.length === 0 && !desk.knows(id, caller.connection)) return
      await within(id, (session) => desk.arrive(session, caller.connection, tools))
    },

    leave(id, connection) {
      if (!desk.knows(id, connection)) return
      within(id, (session) => desk.leave(session, connection)).catch((error: unknown) => {
        // The run's owner offers the call again when the lease runs out.
        const level = error instanceof ReplyError || error instanceof StorageError ? 'warn' : 'error'
        logger[level]({ err: error, session: id, connection }, 'claims of a lost connection were not given up')
      })
    },
  }
}
