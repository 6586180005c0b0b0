// SessionService: every command of a client, whatever door it came through, as appends to the session's
// log. Keeps nothing that the log does not, but for who is here with which tools.
import {
  type Cancel,
  type Cursor,
  formatCursor,
  type Permission,
  ReplyError,
  type Role,
  type Send,
  type Tool,
  type ToolClaim,
  type ToolDecide,
  type ToolResultCommand,
} from '@parley/protocol'
import type { Logger } from 'pino'
import type { RunMetrics } from '../metric/run-metrics.ts'
import type { Seq } from '../store/ports/entry.ts'
import { CursorLost, StorageError } from '../store/ports/errors.ts'
import type { RunQueue } from '../store/ports/run-queue.ts'
import type { Tracer } from '../trace/tracer.ts'
import type { Caller, Receipt } from './commands/caller.ts'
import { asReplyError, compareAndAppend } from './commands/compare-and-append.ts'
import { endRun } from './commands/end-run.ts'
import { MemberService, type NewInvite } from './commands/member-service.ts'
import type { RunAdmission } from './commands/run-admission.ts'
import { send } from './commands/send.ts'
import { ToolService } from './commands/tool-service.ts'
import { tracedSend } from './commands/traced-send.ts'
import type { DirectoryService } from './directory/directory-service.ts'
import type { SessionCache } from './session-cache.ts'
import type { SessionReplica, SessionStores } from './session-replica.ts'
import { activeRun, findCommand, findRun } from './state/session-state.ts'

/** Each throws ReplyError, and nothing else on purpose. */
export interface SessionService {
  send(command: Send, caller: Caller): Promise<Receipt>
  cancel(command: Cancel, caller: Caller): Promise<Receipt>
  claim(command: ToolClaim, caller: Caller): Promise<Receipt>
  result(command: ToolResultCommand, caller: Caller): Promise<Receipt>
  decide(command: ToolDecide, caller: Caller): Promise<Receipt>
  /**
   * The connection is in the session with these tools. Who comes first to one that is empty is its owner.
   * @returns the caller's role
   */
  arrive(session: string, caller: Caller, tools: readonly Tool[]): Promise<string>
  /** Who comes first to a session that is empty is its owner. @returns the caller's role */
  enter(session: string, caller: Caller): Promise<string>
  /** @returns the caller's role @throws ReplyError forbidden, session_not_found */
  admit(session: string, caller: Caller, permission: Permission): Promise<string>
  /** The connection has left the session: its claims are given up. */
  leave(session: string, connection: string): void
  invite(session: string, caller: Caller, role: Role, ttlMs: number): Promise<NewInvite>
  revokeInvite(session: string, caller: Caller, invite: string): Promise<void>
  /** @returns the caller's role */
  join(session: string, caller: Caller, token: string): Promise<string>
  giveRole(session: string, caller: Caller, user: string, role: Role): Promise<void>
  removeMember(session: string, caller: Caller, user: string): Promise<void>
  rename(session: string, caller: Caller, title: string): Promise<void>
}

export interface SessionServiceOptions {
  readonly stores: SessionStores & { readonly runs: RunQueue }
  readonly sessions: SessionCache
  /** @throws ReplyError model_not_allowed, agent_not_found */
  readonly checkChoice: (model: string | undefined, agent: string | undefined) => void
  readonly serverTools: ReadonlySet<string>
  /** Nobody needs a token: everybody is an owner everywhere. */
  readonly open: boolean
  /** Milliseconds that a tool claim holds. */
  readonly leaseMs: number
  /** Where the lists of sessions are kept. */
  readonly directory?: DirectoryService
  /** Told of sessions that were deleted, where something was stored after that. Throws nothing. */
  readonly late?: (session: string, seq: Seq) => Promise<void>
  readonly logger: Logger
  readonly now?: () => number
  readonly metrics?: Pick<RunMetrics, 'cancelled'> | undefined
  readonly tracer?: Tracer | undefined
  /** Who may begin runs. */
  readonly entrance?: RunAdmission | undefined
}

export function createSessionService(options: SessionServiceOptions): SessionService {
  const { stores, sessions, logger } = options
  const { log } = stores
  const now = options.now ?? Date.now
  const members = new MemberService(log, now)
  const desk = new ToolService(log, {
    leaseMs: options.leaseMs,
    serverTools: options.serverTools,
    now,
  })

  /** What was done in a session that was deleted meanwhile is not there any more, nor what stood in the way of it. */
  async function whileLiving<T>(session: SessionReplica, use: (session: SessionReplica) => Promise<T>): Promise<T> {
    options.directory?.visited(session)
    try {
      return await use(session)
    } finally {
      const { deleted } = session.state
      options.directory?.visited(session)
      if (deleted?.late === true) await options.late?.(session.id, deleted.seq)
      session.mustLive()
    }
  }

  async function within<T>(id: string, use: (session: SessionReplica) => Promise<T>): Promise<T> {
    try {
      return await sessions.with(id, (session) => whileLiving(session, use))
    } catch (error) {
      const reply = asReplyError(error)
      if (reply instanceof ReplyError) throw reply
      if (error instanceof CursorLost) throw new ReplyError('unavailable', undefined, { cause: error })
      // A wait for the state to catch up that ran into its bound.
      if (error instanceof DOMException) throw new ReplyError('unavailable', undefined, { cause: error })
      throw error
    }
  }

  /** @returns the caller's role */
  async function admitted(
    session: SessionReplica,
    caller: Caller,
    permission: Permission,
    founds = false,
  ): Promise<string> {
    return options.open ? caller.role : members.admit(session, caller, permission, founds)
  }

  /** As `within`, for those who may. */
  async function allowed<T>(
    id: string,
    caller: Caller,
    permission: Permission,
    use: (session: SessionReplica) => Promise<T>,
  ): Promise<T> {
    return within(id, async (session) => {
      await admitted(session, caller, permission)
      return use(session)
    })
  }

  /** What only people with tokens can be. */
  async function among<T>(id: string, use: (session: SessionReplica) => Promise<T>): Promise<T> {
    if (options.open) throw new ReplyError('forbidden', 'Nobody needs a token here: everybody is in every session.')
    return within(id, use)
  }

  const receipt = <T extends { readonly seq: Seq }>(sent: T): T & { cursor: Cursor } => ({
    ...sent,
    cursor: formatCursor(log.epoch, sent.seq),
  })

  return {
    async send(command, caller) {
      return tracedSend(options.tracer, command, caller, async (trace) => {
        options.checkChoice(command.model, command.agent)
        return within(command.session, async (session) => {
          await admitted(session, caller, 'send', true)
          const offered = new Set([...desk.offered(command.session), ...(caller.tools ?? [])])
          const ports = { ...stores, ...(options.entrance === undefined ? {} : { entrance: options.entrance }) }
          return receipt(await send(ports, session, command, caller.user, [...offered], { ...caller, trace }))
        })
      })
    },

    async cancel(command, caller) {
      const began = performance.now()
      return allowed(command.session, caller, 'send', async (session) => {
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
        if (entry !== undefined) options.metrics?.cancelled(caller, (performance.now() - began) / 1000)
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
      allowed(command.session, caller, 'run', async (session) => receipt(await desk.claim(session, command, caller))),

    result: (command, caller) =>
      allowed(command.session, caller, 'run', async (session) => receipt(await desk.result(session, command, caller))),

    decide: (command, caller) =>
      allowed(command.session, caller, 'decide', async (session) =>
        receipt(await desk.decide(session, command, caller)),
      ),

    async arrive(id, caller, tools) {
      // Most connections bring no tools: then the session need not be folded for them.
      if (options.open && tools.length === 0 && !desk.knows(id, caller.connection)) return caller.role
      return within(id, async (session) => {
        const role = await admitted(session, caller, tools.length === 0 ? 'read' : 'run', true)
        await desk.arrive(session, caller.connection, tools)
        return role
      })
    },

    async enter(id, caller) {
      return options.open ? caller.role : within(id, (session) => admitted(session, caller, 'read', true))
    },

    async admit(id, caller, permission) {
      return options.open ? caller.role : within(id, (session) => admitted(session, caller, permission))
    },

    leave(id, connection) {
      if (!desk.knows(id, connection)) return
      within(id, (session) => desk.leave(session, connection)).catch((error: unknown) => {
        if (error instanceof ReplyError && error.code === 'session_deleted') return desk.forget(id, connection)
        // The run's owner offers the call again when the lease runs out.
        const level = error instanceof ReplyError || error instanceof StorageError ? 'warn' : 'error'
        logger[level]({ err: error, session: id, connection }, 'claims of a lost connection were not given up')
      })
    },

    invite: (id, caller, role, ttlMs) => among(id, (session) => members.invite(session, caller, role, ttlMs)),

    revokeInvite: (id, caller, invite) => among(id, (session) => members.revoke(session, caller, invite)),

    join: (id, caller, token) => among(id, (session) => members.join(session, caller, token)),

    giveRole: (id, caller, user, role) => among(id, (session) => members.give(session, caller, user, role)),

    removeMember: (id, caller, user) => among(id, (session) => members.remove(session, caller, user)),

    rename: (id, caller, title) =>
      allowed(id, caller, 'manage', async (session) => {
        await compareAndAppend(log, session, (state) =>
          state.title === title
            ? undefined
            : { subject: 'meta', event: { type: 'session.updated', title }, expect: state.metaLast },
        )
      }),
  }
}
