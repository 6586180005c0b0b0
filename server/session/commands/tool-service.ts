// ToolService: the attached connections of this node with their tools, and the commands that claim a call, report its
// result or decide about it. The claims are in the log only. The service knows the connections so that it can release
// the claims of a closed one.
import { type CommandOf, LIMITS, ReplyError, type Tool } from '@parley/protocol'
import type { Entry } from '../../store/ports/entry.ts'
import type { SessionLog } from '../../store/ports/session-log.ts'
import { checkSchema, checkValue } from '../../tool/json-schema.ts'
import type { SessionReplica } from '../session-replica.ts'
import { awaitsDecision, type CallState } from '../state/call-state.ts'
import type { RunRecord } from '../state/run-record.ts'
import { findCall, findCommand, type SessionState } from '../state/session-state.ts'
import { compareAndAppend, compareAndAppendAtTip } from './compare-and-append.ts'

export interface ToolServiceOptions {
  /** Milliseconds for which a claim is valid. */
  readonly leaseMs: number
  /** Names of server tools, which clients may not declare. */
  readonly serverTools: ReadonlySet<string>
  readonly now: () => number
}

interface Claimant {
  readonly connection: string
  readonly user: string
  /** The client chose the connection's id, and another node may know its tools. */
  readonly roams?: true
}

export class ToolService {
  readonly #log: SessionLog
  readonly #options: ToolServiceOptions
  /** session → connection → names of its tools */
  readonly #tools = new Map<string, Map<string, ReadonlySet<string>>>()

  constructor(log: SessionLog, options: ToolServiceOptions) {
    this.#log = log
    this.#options = options
  }

  /**
   * Attaches the connection, and appends the tool definitions that differ from the log.
   * @throws ReplyError invalid_tool
   */
  async attach(session: SessionReplica, connection: string, tools: readonly Tool[]): Promise<void> {
    if (tools.length === 0) {
      this.forget(session.id, connection)
      return
    }
    this.#check(tools)
    await compareAndAppendAtTip(this.#log, session, (state) => {
      const changed = tools.filter((tool) => JSON.stringify(state.tools.get(tool.name)) !== JSON.stringify(tool))
      if (changed.length === 0) return undefined
      return { subject: 'meta', event: { type: 'session.updated', tools: changed }, expect: state.lastMetaSeq }
    })
    const connections = this.#tools.get(session.id) ?? new Map<string, ReadonlySet<string>>()
    this.#tools.set(session.id, connections)
    connections.set(connection, new Set(tools.map((tool) => tool.name)))
  }

  /** Detaches the connection, and offers its claimed calls again. */
  async detach(session: SessionReplica, connection: string): Promise<void> {
    this.forget(session.id, connection)
    const claimed = session.state.open.flatMap((run) =>
      [...run.calls.values()].filter((call) => call.claim?.connection === connection),
    )
    for (const call of claimed)
      await offerAgain(this.#log, session, call.id, (now) => now.claim?.connection === connection)
  }

  /** Detaches a connection that has no claims to release. */
  forget(session: string, connection: string): void {
    const connections = this.#tools.get(session)
    connections?.delete(connection)
    if (connections?.size === 0) this.#tools.delete(session)
  }

  /** Whether the connection declared tools on this node, so that its close matters. */
  hasTools(session: string, connection: string): boolean {
    return this.#tools.get(session)?.has(connection) === true
  }

  /** Names of the client tools that attached connections of this node can run. */
  offered(session: string): string[] {
    const names = new Set<string>()
    for (const tools of this.#tools.get(session)?.values() ?? []) for (const name of tools) names.add(name)
    return [...names]
  }

  /** @throws ReplyError call_not_found, call_ended, tool_not_declared, approval_pending, call_claimed */
  async claim(
    session: SessionReplica,
    command: CommandOf<'tool.claim'>,
    by: Claimant,
  ): Promise<{ seq: number; until: number }> {
    const until = this.#options.now() + this.#options.leaseMs
    const entry = await this.#change(session, command, (call) => {
      if (call.claim?.command === command.id && isClaimOf(call.claim, by)) return undefined
      // A repeated command whose claim was lost meanwhile: a claim takes effect once, so it is not renewed.
      if (findCommand(session.state, command.id) !== undefined) throw new ReplyError('call_not_claimed')
      if (!this.#canRun(session, by, call)) throw new ReplyError('tool_not_declared')
      if (awaitsDecision(call)) throw new ReplyError('approval_pending')
      if (call.decision === 'deny') throw new ReplyError('call_ended')
      if (this.#isClaimedByOther(call, by)) throw new ReplyError('call_claimed')
      return {
        type: 'tool.claimed',
        run: call.run,
        call: call.id,
        connection: by.connection,
        ...(by.roams === true ? { user: by.user } : {}),
        until,
        command: command.id,
      }
    })
    const claim = findCall(session.state, command.call)?.call.claim
    return { seq: entry?.seq ?? session.state.seq, until: claim?.until ?? until }
  }

  /**
   * @throws ReplyError call_not_found, call_ended, tool_not_declared, call_not_claimed, invalid_tool_output, too_large
   */
  async result(
    session: SessionReplica,
    command: CommandOf<'tool.result'>,
    by: Claimant,
  ): Promise<{ seq: number; duplicate?: true }> {
    const size = JSON.stringify(command.output ?? null).length
    if (size > LIMITS.toolOutputBytes) throw new ReplyError('too_large', 'The result is larger than the limit.')
    const entry = await this.#change(session, command, (call) => {
      if (call.result?.command === command.id) return undefined
      if (findCommand(session.state, command.id) !== undefined) throw new ReplyError('command_id_reused')
      if (call.result !== undefined) throw new ReplyError('call_ended')
      if (this.#isClaimedByOther(call, by)) throw new ReplyError('call_not_claimed')
      if (!this.#canRun(session, by, call)) throw new ReplyError('tool_not_declared')
      if (awaitsDecision(call)) throw new ReplyError('approval_pending')
      const outcome = command.error === undefined ? { output: command.output ?? null } : { error: command.error }
      if (command.error === undefined) {
        const check = checkValue(session.state.tools.get(call.name)?.outputSchema, command.output ?? null)
        if (!check.ok)
          throw new ReplyError('invalid_tool_output', `The result does not match outputSchema: ${check.problem}.`)
      }
      return { type: 'tool.result', run: call.run, call: call.id, ...outcome, by: by.connection, command: command.id }
    })
    return entry === undefined ? { seq: session.state.seq, duplicate: true } : { seq: entry.seq }
  }

  /** @throws ReplyError call_not_found, call_ended, approval_not_needed, already_decided */
  async decide(
    session: SessionReplica,
    command: CommandOf<'tool.decide'>,
    by: Claimant,
  ): Promise<{ seq: number; duplicate?: true }> {
    const entry = await this.#change(session, command, (call) => {
      if (call.decidedBy === command.id) return undefined
      if (findCommand(session.state, command.id) !== undefined) throw new ReplyError('command_id_reused')
      if (!call.approval) throw new ReplyError('approval_not_needed')
      if (call.decision !== undefined) throw new ReplyError('already_decided')
      const reason = command.reason === undefined ? {} : { reason: command.reason }
      return {
        type: 'tool.decided',
        run: call.run,
        call: call.id,
        decision: command.decision,
        by: by.user,
        ...reason,
        command: command.id,
      }
    })
    return entry === undefined ? { seq: session.state.seq, duplicate: true } : { seq: entry.seq }
  }

  #check(tools: readonly Tool[]): void {
    if (JSON.stringify(tools).length > LIMITS.toolBytes) throw new ReplyError('too_large', 'The tools are too large.')
    const names = new Set<string>()
    for (const tool of tools) {
      if (names.has(tool.name)) throw new ReplyError('invalid_tool', `Tool ${tool.name} is declared twice.`)
      names.add(tool.name)
      if (this.#options.serverTools.has(tool.name)) {
        throw new ReplyError('invalid_tool', `Tool ${tool.name} has the name of a server tool.`)
      }
      for (const schema of [tool.inputSchema, tool.outputSchema]) {
        const check = schema === undefined ? { ok: true as const } : checkSchema(schema)
        if (check.ok) continue
        const busy = 'timedOut' in check && check.timedOut === true
        throw new ReplyError(busy ? 'unavailable' : 'invalid_tool', `Tool ${tool.name}: ${check.problem}.`)
      }
    }
  }

  #canRun(session: SessionReplica, { connection, roams }: Claimant, call: CallState): boolean {
    if (call.where !== 'client') return false
    if (this.#tools.get(session.id)?.get(connection)?.has(call.name) === true) return true
    // Another node knows the connection and detects its close. The log has the tool definitions.
    return roams === true && session.state.tools.has(call.name)
  }

  #isClaimedByOther(call: CallState, by: Claimant): boolean {
    const { claim } = call
    return claim !== undefined && !isClaimOf(claim, by) && claim.until > this.#options.now()
  }

  /** @param decide returns the event for the call's subject, or undefined if the log already has it */
  async #change(
    session: SessionReplica,
    command: { readonly id: string; readonly call: string },
    decide: (call: CallState) => Parameters<SessionLog['append']>[2] | undefined,
  ): Promise<Entry | undefined> {
    return compareAndAppendAtTip(this.#log, session, (state) => {
      const { run, call } = mustFindCall(state, command.call)
      const event = decide(call)
      if (event === undefined) return undefined
      if (call.result !== undefined || run.phase === 'ended') throw new ReplyError('call_ended')
      return { subject: `tool.${call.id}`, event, expect: call.last }
    })
  }
}

/** Whether the claim belongs to the caller. Two users may choose the same connection id. */
function isClaimOf(claim: NonNullable<CallState['claim']>, { connection, user }: Claimant): boolean {
  return claim.connection === connection && (claim.user === undefined || claim.user === user)
}

/** Offers a call again if it has no result and `isLost` returns true. */
export async function offerAgain(
  log: SessionLog,
  session: SessionReplica,
  id: string,
  isLost: (call: CallState) => boolean,
): Promise<void> {
  await compareAndAppend(log, session, (state) => {
    const found = findCall(state, id)
    if (found === undefined || found.run.phase === 'ended') return undefined
    const { call } = found
    if (call.result !== undefined || !isLost(call)) return undefined
    return {
      subject: `tool.${id}`,
      expect: call.last,
      event: {
        type: 'tool.called',
        run: call.run,
        call: id,
        name: call.name,
        input: call.input,
        where: call.where,
        approval: call.approval,
        attempt: call.attempt + 1,
        until: call.until,
        step: call.step,
        // Compaction keeps only this repetition.
        ...(call.marks === undefined ? {} : { marks: call.marks }),
      },
    }
  })
}

function mustFindCall(state: SessionState, id: string): { run: RunRecord; call: CallState } {
  const found = findCall(state, id)
  if (found === undefined) throw new ReplyError('call_not_found')
  return found
}
