// ToolRunner: runs the tool calls that this client has claimed, each handler once. The server decides which client runs
// a call. The handler starts when the claim is granted, and is aborted when the claim, the call or its run ends.
//
//   offered ──claim──► claiming ──ok──► running ──► reporting ──ok──► (done)
//      ▲                  │ refused        │ claim or connection lost: the handler continues, and its result waits
//      └──────────────────┘                │ until the call is offered and claimed again
//                                          ▼ claimed by another client: aborted
import type { EntryFrame, ToolResultCommand } from '@parley/protocol'
import { cutText } from '@parley/protocol/cut-text'
import type { Connection } from '../connection/connection.ts'
import { makeId } from '../make-id.ts'
import { ParleyError, reasonOf } from '../parley-error.ts'
import { type CallView, isSettled } from './call-view.ts'
import { openCalls } from './open-calls.ts'
import type { ClientTool, Session } from './session.ts'
import type { SessionView } from './session-view.ts'

interface Job {
  readonly call: string
  readonly tool: ClientTool
  readonly controller: AbortController
  /** The offer that this client claimed last. */
  attempt: number
  state: 'claiming' | 'running' | 'reporting' | 'waiting'
  started: boolean
  /** Set when the handler has finished; kept until the server has stored it. */
  result: ToolResultCommand | undefined
  leaseMs: number
  cancelRenewal: (() => void) | undefined
}

/** Limits of the interval after which a claim is renewed, in milliseconds. */
const RENEW_MIN_MS = 100
const RENEW_MAX_MS = 10_000

export class ToolRunner {
  readonly #session: Session
  readonly #connection: Connection
  #tools: ReadonlyMap<string, ClientTool> = new Map()
  readonly #jobs = new Map<string, Job>()
  /** By call, the last offer that the server refused to this client. Removed when the call ends. */
  readonly #refused = new Map<string, number>()
  /** The ids of this client's connections since it got its oldest job. */
  readonly #ownConnections = new Set<string>()

  constructor(session: Session, connection: Connection, tools: readonly ClientTool[]) {
    this.#session = session
    this.#connection = connection
    this.setTools(tools)
  }

  /** Running calls keep their handler. Those of a removed tool are aborted. */
  setTools(tools: readonly ClientTool[]): void {
    this.#tools = new Map(tools.map((tool) => [tool.name, tool]))
    for (const job of this.#jobs.values()) {
      const reason = `The tool ${job.tool.name} was removed.`
      if (!this.#tools.has(job.tool.name)) this.#drop(job, new ParleyError('tool_not_declared', reason))
    }
  }

  get #isIdle(): boolean {
    return this.#tools.size === 0 && this.#jobs.size === 0
  }

  /** The view is live: its open offers are current. */
  live(view: SessionView): void {
    this.#reconcile(view)
    this.#reclaimOwn(view)
  }

  entry(frame: EntryFrame, view: SessionView): void {
    if (this.#isIdle) return
    const { event } = frame
    if (event.type === 'tool.claimed') {
      const job = this.#jobs.get(event.call)
      // Both times are from the server's clock, so a wrong local clock does not matter.
      if (job !== undefined) this.#setLease(job, event.until - frame.time)
    }
    if (!event.type.startsWith('tool.') && event.type !== 'run.ended') return
    this.#reconcile(view)
  }

  /** Aborts the running handlers. Their results are dropped; the server offers the calls to other clients. */
  close(reason: ParleyError): void {
    for (const job of this.#jobs.values()) this.#drop(job, reason)
  }

  #reconcile(view: SessionView): void {
    // A replaying view shows old offers, and may lack the current calls.
    if (view.status !== 'live' || this.#isIdle) return
    for (const job of this.#jobs.values()) {
      const call = view.calls.get(job.call)
      if (call === undefined || isSettled(call) || this.#isClaimedElsewhere(call)) this.#drop(job)
    }
    for (const id of this.#refused.keys()) {
      const call = view.calls.get(id)
      if (call === undefined || isSettled(call)) this.#refused.delete(id)
    }
    for (const call of openCalls(view)) if (call.status === 'offered') this.#onOffered(call)
  }

  /** Over HTTP, a claim survives a lost connection, and the server offers the call to no one else. Claim it again. */
  #reclaimOwn(view: SessionView): void {
    if (view.status !== 'live' || this.#tools.size === 0) return
    const { connection } = this.#connection.state
    for (const call of openCalls(view)) {
      if (call.status === 'claimed' && call.claim?.connection === connection) this.#onOffered(call)
    }
  }

  /** Whether another client has claimed the call. Claims of this client's earlier connections expire on the server. */
  #isClaimedElsewhere(call: CallView): boolean {
    return call.claim !== undefined && !this.#ownConnections.has(call.claim.connection)
  }

  #onOffered(call: CallView): void {
    const tool = call.where === 'client' ? this.#tools.get(call.name) : undefined
    const { connection } = this.#connection.state
    if (tool === undefined || connection === undefined) return
    if (call.decision?.decision === 'deny' || (this.#refused.get(call.id) ?? 0) >= call.attempt) return
    const existing = this.#jobs.get(call.id)
    if (existing !== undefined && existing.attempt >= call.attempt && existing.state !== 'waiting') return
    const job = existing ?? {
      call: call.id,
      tool,
      controller: new AbortController(),
      attempt: 0,
      state: 'claiming' as const,
      started: false,
      result: undefined,
      leaseMs: 2 * RENEW_MAX_MS,
      cancelRenewal: undefined,
    }
    job.attempt = call.attempt
    job.state = 'claiming'
    this.#jobs.set(call.id, job)
    this.#ownConnections.add(connection)
    this.#claim(job, call)
  }

  #claim(job: Job, call: CallView): void {
    const { attempt } = job
    this.#sendClaim(job).then(
      () => {
        if (this.#jobs.get(job.call) !== job || job.attempt !== attempt) return
        this.#renewLater(job)
        job.state = 'running'
        if (job.result !== undefined) this.#report(job)
        else if (!job.started) this.#run(job, call)
      },
      (error: unknown) => {
        if (this.#jobs.get(job.call) !== job || job.attempt !== attempt) return
        this.#claimFailed(job, error)
      },
    )
  }

  #claimFailed(job: Job, error: unknown): void {
    const code = error instanceof ParleyError ? error.code : 'internal'
    job.cancelRenewal?.()
    const view = this.#session.state.calls.get(job.call)
    const isOwn =
      code === 'call_claimed' && view?.claim !== undefined && this.#ownConnections.has(view.claim.connection)
    if (code === 'disconnected' || isOwn) {
      // The server offers the call again when it notices that this connection, or the earlier one, is gone.
      job.state = 'waiting'
      job.attempt = 0
      if (!job.started) this.#jobs.delete(job.call)
      return
    }
    if (code !== 'approval_pending') this.#refused.set(job.call, job.attempt)
    this.#drop(job)
  }

  /** Stores how long a claim is valid. The entry that says so may arrive before or after the answer to the claim. */
  #setLease(job: Job, leaseMs: number): void {
    if (job.leaseMs === leaseMs) return
    job.leaseMs = leaseMs
    if (job.cancelRenewal !== undefined && job.state === 'running') this.#renewLater(job)
  }

  #renewLater(job: Job): void {
    job.cancelRenewal?.()
    const wait = Math.min(Math.max(job.leaseMs / 2, RENEW_MIN_MS), RENEW_MAX_MS)
    job.cancelRenewal = this.#connection.clock.after(wait, () => {
      if (job.state !== 'running') return
      this.#sendClaim(job).then(
        () => this.#renewLater(job),
        (error: unknown) => {
          if (this.#jobs.get(job.call) === job) this.#claimFailed(job, error)
        },
      )
    })
  }

  async #sendClaim(job: Job): Promise<void> {
    const id = makeId('clm')
    const frame = {
      type: 'tool.claim' as const,
      id,
      session: this.#session.id,
      call: job.call,
    }
    await this.#connection.command(frame, { resend: false })
  }

  #run(job: Job, call: CallView): void {
    job.started = true
    this.#execute(job, call).then(
      (output) => this.#finished(job, { output: output ?? null }),
      (error: unknown) => this.#finished(job, { error: messageOf(error) }),
    )
  }

  async #execute(job: Job, { input }: CallView): Promise<unknown> {
    const { tool, controller, call } = job
    // The server enforces both as well, but what runs on this device is this client's decision.
    const { decision } = this.#session.state.calls.get(call) ?? {}
    if (tool.approval === true && decision?.decision !== 'approve') throw new Error('Nobody has approved the call.')
    if (tool.inputSchema !== undefined) {
      const { inputProblem } = await import('./input-check.ts')
      const problem = inputProblem(tool.inputSchema, input)
      if (problem !== undefined) throw new Error(problem)
      controller.signal.throwIfAborted()
    }
    return tool.execute(input, { signal: controller.signal, call, session: this.#session })
  }

  #finished(job: Job, outcome: { output: unknown } | { error: string }): void {
    if (this.#jobs.get(job.call) !== job) return
    job.cancelRenewal?.()
    job.result = {
      type: 'tool.result',
      id: makeId('res'),
      session: this.#session.id,
      call: job.call,
      ...outcome,
    }
    // Without a claim, the result waits for the next offer.
    if (job.state === 'running') this.#report(job)
  }

  #report(job: Job): void {
    const { result, attempt } = job
    if (result === undefined) return
    job.cancelRenewal?.()
    job.state = 'reporting'
    // The connection repeats the command with the same id until it is answered.
    this.#connection.command(result).then(
      () => this.#drop(job),
      (error: unknown) => {
        if (this.#jobs.get(job.call) !== job || job.attempt !== attempt) return
        const code = error instanceof ParleyError ? error.code : 'internal'
        if (code === 'call_not_claimed' || code === 'tool_not_declared') {
          job.state = 'waiting'
          job.attempt = 0
          this.#reconcile(this.#session.state)
        } else if ((code === 'invalid_tool_output' || code === 'too_large') && result.error === undefined) {
          this.#reportError(job, messageOf(error))
        } else {
          this.#drop(job)
        }
      },
    )
  }

  /** The server rejected the output. Report an error instead, so that the model does not wait. */
  #reportError(job: Job, error: string): void {
    job.state = 'running'
    this.#finished(job, { error })
  }

  #drop(job: Job, reason = new ParleyError('call_claimed', 'This client no longer has the call.')): void {
    job.cancelRenewal?.()
    job.controller.abort(reason)
    if (this.#jobs.get(job.call) === job) this.#jobs.delete(job.call)
    if (this.#jobs.size === 0) this.#ownConnections.clear()
  }
}

const MESSAGE_MAX = 4_096

function messageOf(error: unknown): string {
  return cutText(reasonOf(error), MESSAGE_MAX) || 'The tool failed.'
}
