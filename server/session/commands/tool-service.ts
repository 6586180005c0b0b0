// ToolService: the attached connections of this node with their tools, and the commands that claim a call, report its
// result or decide about it. The claims are in the log only. The service knows the connections so that it can release
// the claims of a closed one.
import {
  asObject,
  type CommandOf,
  type DeclaredTool,
  type Event,
  formProblem,
  LIMITS,
  ReplyError,
  type Tool,
} from '@parley/protocol'
import type { Entry } from '../../store/ports/entry.ts'
import type { SessionLog } from '../../store/ports/session-log.ts'
import type { SchemaCheck } from '../../tool/json-schema.ts'
import { type Payer, schemaPool } from '../../tool/schema-pool.ts'
import type { SessionReplica } from '../session-replica.ts'
import { awaitsDecision, type CallState, openQuestion } from '../state/call-state.ts'
import { unfinishedRuns } from '../state/child-runs.ts'
import type { RunRecord } from '../state/run-record.ts'
import { findCall, findCommand, findRun, type SessionState, toolsOfSender } from '../state/session-state.ts'
import { bytesOf, declare, declaredBy } from '../state/tool-declarations.ts'
import { calledAgain, offerAgain } from './call-again.ts'
import type { Caller } from './caller.ts'
import { compareAndAppendAtTip } from './compare-and-append.ts'

export interface ToolServiceOptions {
  /** Milliseconds for which a claim is valid. */
  readonly leaseMs: number
  /** Milliseconds for a person to decide about a call. */
  readonly approvalMs: number
  /** Names of server tools, which clients may not declare. */
  readonly serverTools: Pick<ReadonlySet<string>, 'has'>
  readonly now: () => number
}

export type Claimant = Pick<Caller, 'connection' | 'user' | 'roams'>

/** Bytes, as JSON, of all tools that one user declared in a session. The log keeps them after the connection. */
const USER_TOOL_BYTES = 1024 * 1024
/** The same of all users together. */
const SESSION_TOOL_BYTES = 8 * USER_TOOL_BYTES

export class ToolService {
  readonly #log: SessionLog
  readonly #options: ToolServiceOptions
  /** session → connection → the tools that it declared, by name */
  readonly #declarers = new Map<string, Map<string, ReadonlyMap<string, Tool>>>()

  constructor(log: SessionLog, options: ToolServiceOptions) {
    this.#log = log
    this.#options = options
  }

  /**
   * Attaches the connection, and appends the tools that the user has not declared in this form before.
   * @param confirm checks the caller's permission again, after the check of the schemas, which may wait for seconds
   * @throws ReplyError invalid_tool, too_large, and the errors of `confirm`
   */
  async attach(
    session: SessionReplica,
    by: Claimant,
    tools: readonly Tool[],
    confirm: () => Promise<void>,
  ): Promise<void> {
    if (tools.length === 0) {
      await confirm()
      this.forget(session.id, by)
      return
    }
    await this.#check(tools, payerOf(session, by))
    await confirm()
    const { user } = by
    const declared = tools.map((tool) => ({ ...tool, by: user }))
    await compareAndAppendAtTip(this.#log, session, (state) => {
      const isKnown = (tool: DeclaredTool): boolean =>
        JSON.stringify(declaredBy(state.tools, tool.name, user)) === JSON.stringify(tool)
      const changed = declared.filter((tool) => !isKnown(tool))
      if (changed.length === 0) return undefined
      // The user left after `confirm`. Nothing would remove these declarations later.
      if (state.members.gone.has(user) && !state.members.all.has(user)) throw new ReplyError('forbidden')
      const all = [...declare(state.tools, changed).values()].flat()
      if (bytesOf(all.filter(({ by }) => by === user)) > USER_TOOL_BYTES)
        throw new ReplyError('too_large', 'All tools that you declared in this session are too large together.')
      if (bytesOf(all) > SESSION_TOOL_BYTES)
        throw new ReplyError('too_large', 'All tools that users declared in this session are too large together.')
      return { subject: 'meta', event: { type: 'session.updated', tools: changed }, expect: state.lastMetaSeq }
    })
    const connections = this.#declarers.get(session.id) ?? new Map<string, ReadonlyMap<string, Tool>>()
    this.#declarers.set(session.id, connections)
    connections.set(keyOf(by), new Map(tools.map((tool) => [tool.name, tool])))
  }

  /** Detaches the connection, and offers its claimed calls again. */
  async detach(session: SessionReplica, by: Claimant): Promise<void> {
    this.forget(session.id, by)
    const isClaimed = ({ claim }: CallState): boolean => claim !== undefined && isClaimOf(claim, by)
    const claimed = unfinishedRuns(session.state).flatMap((run) => [...run.calls.values()].filter(isClaimed))
    for (const call of claimed) await offerAgain(this.#log, session, call.id, isClaimed)
  }

  /** Detaches a connection that has no claims to release. */
  forget(session: string, by: Claimant): void {
    const connections = this.#declarers.get(session)
    connections?.delete(keyOf(by))
    if (connections?.size === 0) this.#declarers.delete(session)
  }

  /** Whether the connection declared tools on this node, so that its close matters. */
  hasTools(session: string, by: Claimant): boolean {
    return this.#declarers.get(session)?.has(keyOf(by)) === true
  }

  /** Names of the client tools that attached connections of this node can run. */
  offered(session: string): string[] {
    const names = new Set<string>()
    for (const tools of this.#declarers.get(session)?.values() ?? []) for (const name of tools.keys()) names.add(name)
    return [...names]
  }

  /**
   * @param confirm as for `attach`
   * @throws ReplyError call_not_found, call_ended, tool_not_declared, approval_pending, call_claimed, invalid_tool_input,
   * and the errors of `confirm`
   */
  async claim(
    session: SessionReplica,
    command: CommandOf<'tool.claim'>,
    by: Claimant,
    confirm: () => Promise<void>,
  ): Promise<{ seq: number; until: number }> {
    await this.#checkInput(session, command.call, by)
    await confirm()
    const until = this.#options.now() + this.#options.leaseMs
    const entry = await this.#change(session, command, (call) => {
      if (call.claim?.command === command.id && isClaimOf(call.claim, by)) return undefined
      // A repeated command whose claim was lost meanwhile: a claim takes effect once, so it is not renewed.
      if (findCommand(session.state, command.id) !== undefined) throw new ReplyError('call_not_claimed')
      const tool = this.#declared(session, by, call)
      if (tool === undefined) throw new ReplyError('tool_not_declared')
      if (awaitsDecision(call)) throw new ReplyError('approval_pending')
      if (call.decision === 'deny') throw new ReplyError('call_ended')
      if (this.#isClaimedByOther(call, by)) throw new ReplyError('call_claimed')
      if (this.#needsApproval(tool, call, by)) return this.#askForApproval(call)
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
    if (entry?.event.type === 'tool.called') throw new ReplyError('approval_pending')
    const claim = findCall(session.state, command.call)?.call.claim
    return { seq: entry?.seq ?? session.state.seq, until: claim?.until ?? until }
  }

  /**
   * @param confirm as for `attach`
   * @throws ReplyError call_not_found, call_ended, tool_not_declared, call_not_claimed, approval_pending, invalid_tool_input,
   * invalid_tool_output, too_large, and the errors of `confirm`
   */
  async result(
    session: SessionReplica,
    command: CommandOf<'tool.result'>,
    by: Claimant,
    confirm: () => Promise<void>,
  ): Promise<{ seq: number; duplicate?: true }> {
    const size = JSON.stringify(command.output ?? null).length
    if (size > LIMITS.toolOutputBytes) throw new ReplyError('too_large', 'The result is larger than the limit.')
    await this.#checkInput(session, command.call, by)
    const outputCheck = await this.#checkOutput(session, command, by)
    await confirm()
    const outcome = command.error === undefined ? { output: command.output ?? null } : { error: command.error }
    const entry = await this.#change(session, command, (call) => {
      if (call.result?.command === command.id) return undefined
      if (findCommand(session.state, command.id) !== undefined) throw new ReplyError('command_id_reused')
      if (call.result !== undefined) throw new ReplyError('call_ended')
      if (this.#isClaimedByOther(call, by)) throw new ReplyError('call_not_claimed')
      const tool = this.#declared(session, by, call)
      if (tool === undefined) throw new ReplyError('tool_not_declared')
      if (awaitsDecision(call)) throw new ReplyError('approval_pending')
      if (this.#needsApproval(tool, call, by)) return this.#askForApproval(call)
      if (!outputCheck.ok)
        throw new ReplyError('invalid_tool_output', `The result does not match outputSchema: ${outputCheck.problem}.`)
      return { type: 'tool.result', run: call.run, call: call.id, ...outcome, by: by.connection, command: command.id }
    })
    if (entry?.event.type === 'tool.called') throw new ReplyError('approval_pending')
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

  /** @throws ReplyError call_not_found, call_ended, question_not_found, question_closed, invalid_answer, too_large */
  async answer(
    session: SessionReplica,
    command: CommandOf<'tool.answer'>,
    by: Claimant,
  ): Promise<{ seq: number; duplicate?: true }> {
    const { question: id, action, content = {} } = command
    if (JSON.stringify(content).length > LIMITS.formBytes) throw new ReplyError('too_large', 'The answer is too large.')
    const entry = await this.#change(session, command, (call) => {
      const question = call.questions.find((asked) => asked.question === id)
      if (question?.answer?.command === command.id) return undefined
      if (findCommand(session.state, command.id) !== undefined) throw new ReplyError('command_id_reused')
      if (question === undefined) throw new ReplyError('question_not_found')
      if (call.result !== undefined) throw new ReplyError('call_ended')
      if (openQuestion(call) !== question) throw new ReplyError('question_closed')
      const problem = action === 'accept' ? formProblem(question.schema, content) : undefined
      if (problem !== undefined)
        throw new ReplyError('invalid_answer', `The answer does not match the form: ${problem}.`)
      const given = action === 'accept' ? { content } : {}
      const about = { run: call.run, call: call.id, question: id }
      return { type: 'tool.answered', ...about, action, ...given, by: by.user, command: command.id }
    })
    return entry === undefined ? { seq: session.state.seq, duplicate: true } : { seq: entry.seq }
  }

  async #check(tools: readonly Tool[], payer: Payer): Promise<void> {
    if (JSON.stringify(tools).length > LIMITS.toolBytes) throw new ReplyError('too_large', 'The tools are too large.')
    const names = new Set<string>()
    for (const tool of tools) {
      if (names.has(tool.name)) throw new ReplyError('invalid_tool', `Tool ${tool.name} is declared twice.`)
      names.add(tool.name)
      if (this.#options.serverTools.has(tool.name)) {
        throw new ReplyError('invalid_tool', `Tool ${tool.name} has the name of a server tool.`)
      }
      for (const schema of [tool.inputSchema, tool.outputSchema]) {
        if (schema === undefined) continue
        const check = await schemaPool.checkSchema(schema, payer)
        if (check.ok) continue
        throw new ReplyError(check.timedOut ? 'unavailable' : 'invalid_tool', `Tool ${tool.name}: ${check.problem}.`)
      }
    }
  }

  /** The tool as this connection declared it, if it can run the call. */
  #declared(session: SessionReplica, by: Claimant, call: CallState): Tool | undefined {
    if (call.where !== 'client') return undefined
    const run = findRun(session.state, call.run)
    // A device that declared a tool of the same name would run a call that is not for it.
    if (run !== undefined && toolsOfSender(session.state, run) !== undefined) return undefined
    const here = this.#declarers.get(session.id)?.get(keyOf(by))
    if (here !== undefined) return here.get(call.name)
    // Another node knows the connection and detects its close. The log has its user's declaration.
    return by.roams === true ? declaredBy(session.state.tools, call.name, by.user) : undefined
  }

  /** Whether the call must wait because this device requires an approval that the call did not need so far. */
  #needsApproval(tool: Tool, call: CallState, by: Claimant): boolean {
    return tool.approval === true && call.decision === undefined && !this.#isClaimedBy(call, by)
  }

  #askForApproval(call: CallState): Event {
    return calledAgain({ ...call, approval: true, until: this.#options.now() + this.#options.approvalMs })
  }

  /**
   * Checks the input against the schema of the device that takes the call.
   * @throws ReplyError call_not_found, invalid_tool_input
   */
  async #checkInput(session: SessionReplica, id: string, by: Claimant): Promise<void> {
    const { call } = mustFindCall(session.state, id)
    if (call.result !== undefined || this.#isClaimedBy(call, by)) return
    const schema = this.#declared(session, by, call)?.inputSchema
    const check = await schemaPool.checkValue(schema, asObject(call.input), payerOf(session, by))
    if (!check.ok) {
      const problem = `The input does not match the schema that this connection declared: ${check.problem}.`
      throw new ReplyError('invalid_tool_input', problem)
    }
  }

  async #checkOutput(session: SessionReplica, command: CommandOf<'tool.result'>, by: Claimant): Promise<SchemaCheck> {
    const { call } = mustFindCall(session.state, command.call)
    if (command.error !== undefined || call.result !== undefined) return { ok: true }
    const schema = this.#declared(session, by, call)?.outputSchema
    return schemaPool.checkValue(schema, command.output ?? null, payerOf(session, by))
  }

  #isClaimedBy({ claim }: CallState, by: Claimant): boolean {
    return claim !== undefined && isClaimOf(claim, by) && claim.until > this.#options.now()
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

/** Users without a membership are those of a server without authentication: many people share one. */
function payerOf({ id, state }: SessionReplica, by: Claimant): Payer {
  return { session: id, connection: keyOf(by), user: state.members.all.has(by.user) ? by.user : undefined }
}

/**
 * Whether the claim belongs to the caller. Connection ids are public, and a client over plain HTTP chooses its own: two
 * users may choose the same, or one that the server gave to a WebSocket, whose claims name no user.
 */
function isClaimOf(claim: NonNullable<CallState['claim']>, { connection, user, roams }: Claimant): boolean {
  return claim.connection === connection && claim.user === (roams === true ? user : undefined)
}

/** Ids contain no spaces. */
function keyOf({ connection, user, roams }: Claimant): string {
  return roams === true ? `${connection} ${user}` : connection
}

function mustFindCall(state: SessionState, id: string): { run: RunRecord; call: CallState } {
  const found = findCall(state, id)
  if (found === undefined) throw new ReplyError('call_not_found')
  return found
}
