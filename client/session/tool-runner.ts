// ToolRunner: runs the calls that this client may run, each handler once. The server decides who runs a call: the
// handler begins when the claim is granted, and is told to stop when the claim, the call or its run is gone.
//
//   offered ──claim──► claiming ──ok──► running ──► reporting ──ok──► (done)
//      ▲                  │ refused        │ claim lost, or the connection: the handler goes on, and the call is
//      └──────────────────┘                ▼ claimed again when it is on offer again; its result waits for that
//                                        aborted, when somebody else has it
import type { EntryFrame, ToolResultCommand } from '@parley/protocol'
import { makeId } from '@parley/protocol/make-id'
import type { Connection } from '../connection/connection.ts'
import { ParleyError } from '../parley-error.ts'
import { type CallView, isSettled } from './call-view.ts'
import type { Session } from './session.ts'
import type { SessionView } from './session-view.ts'
import type { ClientTool } from './tool.ts'

interface Job {
  readonly call: string
  readonly tool: ClientTool
  readonly controller: AbortController
  /** The offer that was claimed last. */
  attempt: number
  state: 'claiming' | 'running' | 'reporting' | 'waiting'
  started: boolean
  /** Set when the handler is done. Kept until the server has it. */
  result: ToolResultCommand | undefined
  leaseMs: number
  cancelRenewal: (() => void) | undefined
}

/** Milliseconds: the least and the most to wait before a claim is renewed. */
const RENEW_MIN_MS = 100
const RENEW_MAX_MS = 10_000

export class ToolRunner {
  readonly #session: Session
  readonly #connection: Connection
  readonly #tools: ReadonlyMap<string, ClientTool>
  readonly #jobs = new Map<string, Job>()
  /** By call, the last offer that the server refused to this client. Forgotten when the call is settled. */
  readonly #refused = new Map<string, number>()

  constructor(session: Session, connection: Connection, tools: readonly ClientTool[]) {
    this.#session = session
    this.#connection = connection
    this.#tools = new Map(tools.map((tool) => [tool.name, tool]))
  }

  /** The view has caught up: what is on offer now is really on offer. */
  live(view: SessionView): void {
    this.#consider(view)
    this.#takeBack(view)
  }

  entry(frame: EntryFrame, view: SessionView): void {
    if (this.#tools.size === 0) return
    const { event } = frame
    if (event.type === 'tool.claimed') {
      const job = this.#jobs.get(event.call)
      // Both times are the server's, so that a wrong clock here does not matter.
      if (job !== undefined) this.#leased(job, event.until - frame.time)
    }
    if (!event.type.startsWith('tool.') && event.type !== 'run.ended') return
    this.#consider(view)
  }

  close(): void {
    for (const job of this.#jobs.values()) this.#drop(job)
  }

  #consider(view: SessionView): void {
    // A view that catches up tells of offers that were taken long ago, and may not hold a call yet.
    if (view.status !== 'live' || this.#tools.size === 0) return
    for (const job of this.#jobs.values()) {
      const call = view.calls.get(job.call)
      if (call === undefined || isSettled(call) || this.#isTaken(call)) this.#drop(job)
    }
    for (const id of this.#refused.keys()) {
      const call = view.calls.get(id)
      if (call === undefined || isSettled(call)) this.#refused.delete(id)
    }
    for (const call of openCalls(view)) if (call.status === 'offered') this.#offered(call)
  }

  /** Over HTTP a claim outlives the link over which it was made, and nobody else is offered the call meanwhile. */
  #takeBack(view: SessionView): void {
    if (view.status !== 'live' || this.#tools.size === 0) return
    const { connection } = this.#connection.state
    for (const call of openCalls(view)) {
      if (call.status === 'claimed' && call.claim?.connection === connection) this.#offered(call)
    }
  }

  /** Whether somebody else holds the call. What an earlier connection of this client holds is given up by itself. */
  #isTaken(call: CallView): boolean {
    return call.claim !== undefined && !this.#mine.has(call.claim.connection)
  }

  /** Connections that this client has had while it held a job; few, and emptied when no job is left. */
  readonly #mine = new Set<string>()

  #offered(call: CallView): void {
    const tool = this.#tools.get(call.name)
    const { connection } = this.#connection.state
    if (tool === undefined || connection === undefined) return
    if (call.decision?.decision === 'deny' || (this.#refused.get(call.id) ?? 0) >= call.attempt) return
    const held = this.#jobs.get(call.id)
    if (held !== undefined && held.attempt >= call.attempt && held.state !== 'waiting') return
    const job = held ?? {
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
    this.#mine.add(connection)
    this.#claim(job, call)
  }

  #claim(job: Job, call: CallView): void {
    const { attempt } = job
    this.#command(job).then(
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
    const isOwn = code === 'call_claimed' && view?.claim !== undefined && this.#mine.has(view.claim.connection)
    if (code === 'disconnected' || isOwn) {
      // It is offered again when the server has noticed that this connection, or the one before, went.
      job.state = 'waiting'
      job.attempt = 0
      if (!job.started) this.#jobs.delete(job.call)
      return
    }
    if (code !== 'approval_pending') this.#refused.set(job.call, job.attempt)
    this.#drop(job)
  }

  /** How long a claim holds; told by the entry, which may come before or after the answer to the claim. */
  #leased(job: Job, leaseMs: number): void {
    if (job.leaseMs === leaseMs) return
    job.leaseMs = leaseMs
    if (job.cancelRenewal !== undefined && job.state === 'running') this.#renewLater(job)
  }

  #renewLater(job: Job): void {
    job.cancelRenewal?.()
    const wait = Math.min(Math.max(job.leaseMs / 2, RENEW_MIN_MS), RENEW_MAX_MS)
    job.cancelRenewal = this.#connection.clock.after(wait, () => {
      if (job.state !== 'running') return
      this.#command(job).then(
        () => this.#renewLater(job),
        (error: unknown) => {
          if (this.#jobs.get(job.call) === job) this.#claimFailed(job, error)
        },
      )
    })
  }

  async #command(job: Job): Promise<void> {
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
    const context = {
      signal: job.controller.signal,
      call: job.call,
      session: this.#session,
    }
    const outcome = new Promise<unknown>((resolve) => {
      resolve(job.tool.execute(call.input, context))
    })
    outcome.then(
      (output) => this.#finished(job, { output: output ?? null }),
      (error: unknown) => this.#finished(job, { error: messageOf(error) }),
    )
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
    // Without the claim it waits for the next offer.
    if (job.state === 'running') this.#report(job)
  }

  #report(job: Job): void {
    const { result, attempt } = job
    if (result === undefined) return
    job.cancelRenewal?.()
    job.state = 'reporting'
    // Sent again by the connection, with the same id, until there is an answer.
    this.#connection.command(result).then(
      () => this.#drop(job),
      (error: unknown) => {
        if (this.#jobs.get(job.call) !== job || job.attempt !== attempt) return
        const code = error instanceof ParleyError ? error.code : 'internal'
        if (code === 'call_not_claimed' || code === 'tool_not_declared') {
          job.state = 'waiting'
          job.attempt = 0
          this.#consider(this.#session.state)
        } else if ((code === 'invalid_tool_output' || code === 'too_large') && result.error === undefined) {
          this.#retell(job, messageOf(error))
        } else {
          this.#drop(job)
        }
      },
    )
  }

  /** The server does not take the output: the model is told so, rather than left waiting. */
  #retell(job: Job, error: string): void {
    job.state = 'running'
    this.#finished(job, { error })
  }

  #drop(job: Job): void {
    job.cancelRenewal?.()
    job.controller.abort(new ParleyError('call_claimed', 'The call is no longer this client’s.'))
    if (this.#jobs.get(job.call) === job) this.#jobs.delete(job.call)
    if (this.#jobs.size === 0) this.#mine.clear()
  }
}

/** The calls of unfinished runs that are for clients. */
function openCalls(view: SessionView): readonly CallView[] {
  return view.open.flatMap((id) =>
    (view.runs.get(id)?.parts ?? []).flatMap((part) => {
      const call = part.type === 'tool' ? view.calls.get(part.call) : undefined
      return call?.where === 'client' ? [call] : []
    }),
  )
}

const MESSAGE_MAX = 4_096

function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.slice(0, MESSAGE_MAX) || 'The tool failed.'
}
