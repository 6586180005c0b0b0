// SessionService: executes the commands of clients, over all transports, as appends to the session's log. Its only
// state besides the log is the set of attached connections and their tools.
import {
  type Cancel,
  type Cursor,
  formatCursor,
  type Permission,
  ReplyError,
  type Role,
  type Send,
  type Tool,
  type ToolAnswer,
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
import { decideAtTip } from './catch-up.ts'
import type { Caller, Receipt } from './commands/caller.ts'
import { cancel } from './commands/cancel.ts'
import { asReplyError, compareAndAppendAtTip } from './commands/compare-and-append.ts'
import { MemberService, type NewInvite } from './commands/member-service.ts'
import type { RunAdmission } from './commands/run-admission.ts'
import { send } from './commands/send.ts'
import { ToolService } from './commands/tool-service.ts'
import { tracedSend } from './commands/traced-send.ts'
import type { DirectoryService } from './directory/directory-service.ts'
import type { SessionCache } from './session-cache.ts'
import type { SessionReplica, SessionStores } from './session-replica.ts'

/** Every method throws ReplyError for expected failures. */
export interface SessionService {
  send(command: Send, caller: Caller): Promise<Receipt>
  cancel(command: Cancel, caller: Caller): Promise<Receipt>
  claim(command: ToolClaim, caller: Caller): Promise<Receipt>
  result(command: ToolResultCommand, caller: Caller): Promise<Receipt>
  decide(command: ToolDecide, caller: Caller): Promise<Receipt>
  answer(command: ToolAnswer, caller: Caller): Promise<Receipt>
  /**
   * Attaches the connection with its tools. The first user of an empty session becomes its owner.
   * @returns the caller's role
   */
  attach(session: string, caller: Caller, tools: readonly Tool[]): Promise<string>
  /** The first user of an empty session becomes its owner. @returns the caller's role */
  admitReader(session: string, caller: Caller): Promise<string>
  /**
   * @param confirms asks the log for the members as of now. By default all but readers do, who get a removal with the entries.
   * @returns the caller's role @throws ReplyError forbidden, session_not_found
   */
  admit(session: string, caller: Caller, permission: Permission, confirms?: boolean): Promise<string>
  /** Detaches the caller's connection and releases its claims. */
  detach(session: string, caller: Pick<Caller, 'connection' | 'user' | 'roams'>): void
  invite(session: string, caller: Caller, role: Role, ttlMs: number): Promise<NewInvite>
  revokeInvite(session: string, caller: Caller, invite: string): Promise<void>
  /** @returns the caller's role */
  join(session: string, caller: Caller, token: string): Promise<string>
  giveRole(session: string, caller: Caller, user: string, role: Role): Promise<void>
  removeMember(session: string, caller: Caller, user: string): Promise<void>
  rename(session: string, caller: Caller, title: string): Promise<void>
  /** The OpenAI-compatible API no longer serves the response of this run. @throws ReplyError too_large after 1,000 in one session */
  deleteResponse(session: string, caller: Caller, run: string): Promise<void>
}

export interface SessionServiceOptions {
  readonly stores: SessionStores & { readonly runs: RunQueue }
  readonly sessions: SessionCache
  /** @throws ReplyError model_not_allowed, agent_not_found */
  readonly checkChoice: (model: string | undefined, agent: string | undefined) => void
  readonly serverTools: Pick<ReadonlySet<string>, 'has'>
  /** The server has no authentication: every client may do everything in every session. */
  readonly open: boolean
  /** Milliseconds for which a tool claim is valid. */
  readonly leaseMs: number
  /** Milliseconds for a person to decide about a tool call; default 10 minutes. */
  readonly approvalMs?: number
  readonly directory?: DirectoryService
  /** Called if entries were appended after the session's deletion, `seq`. Must not reject. */
  readonly purgeAgain?: (session: string, seq: Seq) => Promise<void>
  readonly logger: Logger
  readonly now?: () => number
  readonly metrics?: Pick<RunMetrics, 'cancelled'> | undefined
  readonly tracer?: Tracer | undefined
  /** Omitted: every user may start runs. */
  readonly admission?: RunAdmission | undefined
}

const APPROVAL_MS = 10 * 60_000
/** The log and the state of a session keep their ids. */
const MAX_DELETED_RESPONSES = 1_000

export function createSessionService(options: SessionServiceOptions): SessionService {
  const { stores, sessions, logger } = options
  const { log } = stores
  const now = options.now ?? Date.now
  const members = new MemberService(log, now)
  const toolService = new ToolService(log, {
    leaseMs: options.leaseMs,
    approvalMs: options.approvalMs ?? APPROVAL_MS,
    serverTools: options.serverTools,
    now,
  })

  /** Reports `session_deleted` instead of any result or error if the session is deleted meanwhile. */
  async function whileNotDeleted<T>(session: SessionReplica, use: (session: SessionReplica) => Promise<T>): Promise<T> {
    options.directory?.visited(session)
    try {
      return await decideAtTip(stores, session, () => use(session))
    } finally {
      const { deleted } = session.state
      options.directory?.visited(session)
      if (deleted?.hasLateEntries === true) await options.purgeAgain?.(session.id, deleted.seq)
      session.assertNotDeleted()
    }
  }

  async function withSession<T>(id: string, use: (session: SessionReplica) => Promise<T>): Promise<T> {
    try {
      return await sessions.with(id, (session) => whileNotDeleted(session, use))
    } catch (error) {
      const reply = asReplyError(error)
      if (reply instanceof ReplyError) throw reply
      if (error instanceof CursorLost) throw new ReplyError('unavailable', undefined, { cause: error })
      // The timeout of a wait for the state to catch up.
      if (error instanceof DOMException) throw new ReplyError('unavailable', undefined, { cause: error })
      throw error
    }
  }

  /** @returns the caller's role */
  async function admit(
    session: SessionReplica,
    caller: Caller,
    permission: Permission,
    creates = false,
  ): Promise<string> {
    return options.open ? caller.role : members.admit(session, caller, permission, creates)
  }

  /** Repeats the check with the members as of now. Reading needs none: a reader gets the removal with the entries. */
  async function confirm(session: SessionReplica, caller: Caller, permission: Permission): Promise<void> {
    if (!options.open && permission !== 'read') await members.confirm(session, caller, permission)
  }

  /** As `withSession`, for callers with the permission. */
  async function withPermission<T>(
    id: string,
    caller: Caller,
    permission: Permission,
    use: (session: SessionReplica) => Promise<T>,
  ): Promise<T> {
    return withSession(id, async (session) => {
      await admit(session, caller, permission)
      await confirm(session, caller, permission)
      return use(session)
    })
  }

  /** As `withSession`, for commands about members, which need authenticated users. */
  async function withMembers<T>(id: string, use: (session: SessionReplica) => Promise<T>): Promise<T> {
    if (options.open)
      throw new ReplyError('forbidden', 'This server has no authentication, so sessions have no members.')
    return withSession(id, use)
  }

  const receipt = <T extends { readonly seq: Seq }>(sent: T): T & { cursor: Cursor } => ({
    ...sent,
    cursor: formatCursor(log.epoch, sent.seq),
  })

  return {
    async send(command, caller) {
      return tracedSend(options.tracer, command, caller, async (trace) => {
        options.checkChoice(command.model, command.agent)
        return withSession(command.session, async (session) => {
          await admit(session, caller, 'send', true)
          const offered = new Set([...toolService.offered(command.session), ...(caller.tools ?? [])])
          const ports = {
            ...stores,
            ...(options.admission === undefined ? {} : { admission: options.admission }),
            confirm: () => confirm(session, caller, 'send'),
          }
          return receipt(await send(ports, session, command, caller.user, [...offered], { ...caller, trace }))
        })
      })
    },

    cancel: (command, caller) =>
      withSession(command.session, async (session) => {
        await admit(session, caller, 'send')
        const began = performance.now()
        const { appended, ...done } = await cancel(log, session, command, caller.user, () =>
          confirm(session, caller, 'send'),
        )
        if (appended === true) options.metrics?.cancelled(caller, (performance.now() - began) / 1000)
        return receipt(done)
      }),

    claim: (command, caller) =>
      withSession(command.session, async (session) => {
        await admit(session, caller, 'run')
        return receipt(await toolService.claim(session, command, caller, () => confirm(session, caller, 'run')))
      }),

    result: (command, caller) =>
      withSession(command.session, async (session) => {
        await admit(session, caller, 'run')
        return receipt(await toolService.result(session, command, caller, () => confirm(session, caller, 'run')))
      }),

    decide: (command, caller) =>
      withPermission(command.session, caller, 'decide', async (session) =>
        receipt(await toolService.decide(session, command, caller)),
      ),

    answer: (command, caller) =>
      withPermission(command.session, caller, 'decide', async (session) =>
        receipt(await toolService.answer(session, command, caller)),
      ),

    async attach(id, caller, tools) {
      // Most connections have no tools, so the session does not need to be loaded for them.
      if (options.open && tools.length === 0 && !toolService.hasTools(id, caller)) return caller.role
      return withSession(id, async (session) => {
        const permission = tools.length === 0 ? 'read' : 'run'
        const role = await admit(session, caller, permission, true)
        await toolService.attach(session, caller, tools, () => confirm(session, caller, permission))
        return role
      })
    },

    async admitReader(id, caller) {
      return options.open ? caller.role : withSession(id, (session) => admit(session, caller, 'read', true))
    },

    async admit(id, caller, permission, confirms = permission !== 'read') {
      if (options.open) return caller.role
      return withSession(id, async (session) => {
        const role = await admit(session, caller, permission)
        if (confirms) await members.confirm(session, caller, permission)
        return role
      })
    },

    detach(id, caller) {
      if (!toolService.hasTools(id, caller)) return
      withSession(id, (session) => toolService.detach(session, caller)).catch((error: unknown) => {
        if (error instanceof ReplyError && error.code === 'session_deleted') return toolService.forget(id, caller)
        // The run's driver offers the call again when the lease expires.
        const level = error instanceof ReplyError || error instanceof StorageError ? 'warn' : 'error'
        logger[level](
          { err: error, session: id, connection: caller.connection },
          'failed to release the tool claims of a disconnected client',
        )
      })
    },

    invite: (id, caller, role, ttlMs) => withMembers(id, (session) => members.invite(session, caller, role, ttlMs)),

    revokeInvite: (id, caller, invite) => withMembers(id, (session) => members.revoke(session, caller, invite)),

    join: (id, caller, token) => withMembers(id, (session) => members.join(session, caller, token)),

    giveRole: (id, caller, user, role) => withMembers(id, (session) => members.giveRole(session, caller, user, role)),

    removeMember: (id, caller, user) => withMembers(id, (session) => members.remove(session, caller, user)),

    rename: (id, caller, title) =>
      withPermission(id, caller, 'manage', async (session) => {
        await compareAndAppendAtTip(log, session, (state) =>
          state.title === title
            ? undefined
            : { subject: 'meta', event: { type: 'session.updated', title }, expect: state.lastMetaSeq },
        )
      }),

    deleteResponse: (id, caller, run) =>
      withPermission(id, caller, 'manage', async (session) => {
        await compareAndAppendAtTip(log, session, ({ deletedResponses, lastMetaSeq }) => {
          if (deletedResponses.has(run)) return undefined
          if (deletedResponses.size >= MAX_DELETED_RESPONSES) {
            const words = `This session has ${MAX_DELETED_RESPONSES} deleted responses. To delete all of it, use DELETE /v1/sessions/${id}.`
            throw new ReplyError('too_large', words)
          }
          const event = { type: 'session.updated' as const, deletedResponses: [run] }
          return { subject: 'meta', event, expect: lastMetaSeq }
        })
      }),
  }
}
