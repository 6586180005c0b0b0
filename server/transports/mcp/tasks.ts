// Tasks of MCP 2026-07-28 (extension io.modelcontextprotocol/tasks, SEP-2663): a task is a job, so it outlives its client and its
// node, and nothing is stored for it. The server makes one for a call with `keep` if the client knows the extension.
import { makeId, ReplyError } from '@parley/protocol'
import { lookUpRun } from '../../session/find-run.ts'
import { createdAt, type FoundRun, jobState } from '../../session/run-report.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import { formatJobId, type JobName, parseJobId } from '../jobs/job-id.ts'
import { callerOf } from '../session-http/caller.ts'
import { canElicit, type ModernEra, TASKS } from './eras.ts'
import { type InputRequest, inputRequestsOf, openRequests, wordsOf } from './input-requests.ts'
import type { ModernCalls } from './modern-calls.ts'
import { isObject, type Params, RPC, RpcError } from './rpc.ts'
import { type RunAnswerPorts, toolResult } from './run-answer.ts'

export interface TasksPorts extends RunAnswerPorts {
  /** Milliseconds for which a result is kept after its end. */
  readonly retentionMs: number
}

/** Limits of the interval in which a client should poll, in milliseconds; it grows with the task's age. */
const POLL_MIN_MS = 1_000
const POLL_MAX_MS = 20_000
const POLL_AGE_SHARE = 0.2

export function knowsTasks({ capabilities }: ModernEra): boolean {
  return isObject(capabilities.extensions) && isObject(capabilities.extensions[TASKS])
}

export class Tasks {
  readonly #ports: TasksPorts
  readonly #calls: ModernCalls

  constructor(ports: TasksPorts, calls: ModernCalls) {
    this.#ports = ports
    this.#calls = calls
  }

  /** The handle of a new task. @throws ReplyError, StorageError */
  async created(era: ModernEra, name: JobName): Promise<Params> {
    const { result, inputRequests, ...handle } = this.#view(era, name, await this.#found(name))
    return { ...handle, resultType: 'task' }
  }

  /** @throws RpcError, ReplyError, StorageError */
  async get(exchange: HttpExchange, era: ModernEra, params: Params): Promise<Params> {
    const { name, found } = await this.#find(exchange, era, params)
    return this.#view(era, name, found)
  }

  /** Passes on answers of the client's user. Answers to questions that nobody asks have no effect. @throws RpcError, ReplyError */
  async update(exchange: HttpExchange, era: ModernEra, params: Params): Promise<Params> {
    const { name } = await this.#find(exchange, era, params)
    await this.#calls.decide(exchange, name, params)
    return {}
  }

  /** A task that has ended does not change. @throws RpcError, ReplyError */
  async cancel(exchange: HttpExchange, era: ModernEra, params: Params): Promise<Params> {
    const { name, found } = await this.#find(exchange, era, params)
    if (found.record.ended === undefined) {
      const command = { type: 'cancel' as const, id: makeId('cmd'), ...name }
      await this.#ports.service.cancel(command, callerOf(exchange.request, 'mcp'))
    }
    return {}
  }

  async #find(exchange: HttpExchange, era: ModernEra, { taskId }: Params) {
    if (!knowsTasks(era)) {
      const data = { requiredCapabilities: { extensions: { [TASKS]: {} } } }
      throw new RpcError(400, RPC.capabilityMissing, `The client must declare the extension ${TASKS}.`, data)
    }
    const name = typeof taskId === 'string' ? parseJobId(taskId) : undefined
    if (name === undefined) throw unknownTask()
    try {
      await this.#ports.service.admit(name.session, callerOf(exchange.request), 'read')
      return { name, found: await this.#found(name) }
    } catch (error) {
      if (error instanceof ReplyError && HIDDEN.has(error.code)) throw unknownTask()
      throw error
    }
  }

  async #found({ session, run }: JobName): Promise<FoundRun> {
    const { sessions, stores, retentionMs } = this.#ports
    const found = await sessions.with(session, (replica) => lookUpRun(stores, replica, run))
    const endedAt = found?.record.endedAt
    const isExpired = endedAt !== undefined && Date.now() - endedAt > retentionMs
    if (found === undefined || isExpired) throw new ReplyError('run_not_found')
    return found
  }

  #view(era: ModernEra, name: JobName, found: FoundRun) {
    const { record } = found
    const began = createdAt(found)
    const age = Math.max(0, Date.now() - began)
    const waiting = openRequests(found)
    const asks = waiting.length > 0 && canElicit(era.capabilities)
    const state = jobState(found)
    return {
      taskId: formatJobId(name),
      status: statusOf(state, asks),
      ...messageOf(state, waiting),
      createdAt: new Date(began).toISOString(),
      lastUpdatedAt: new Date(record.endedAt ?? record.startedAt ?? began).toISOString(),
      ttlMs: this.#ports.retentionMs,
      pollIntervalMs: Math.round(Math.min(POLL_MAX_MS, POLL_MIN_MS + age * POLL_AGE_SHARE)),
      ...(asks ? { inputRequests: inputRequestsOf(waiting) } : {}),
      ...(state === 'completed' || state === 'failed'
        ? { result: { ...toolResult(name.session, record), resultType: 'complete' } }
        : {}),
    }
  }
}

const HIDDEN: ReadonlySet<string> = new Set(['forbidden', 'session_not_found', 'session_deleted', 'run_not_found'])

function unknownTask(): RpcError {
  return new RpcError(200, RPC.invalidParams, 'There is no such task.')
}

/** A run that failed is a tool that failed: the task itself is complete. */
function statusOf(state: ReturnType<typeof jobState>, asks: boolean): string {
  if (state === 'completed' || state === 'failed') return 'completed'
  if (state === 'cancelled' || state === 'superseded') return 'cancelled'
  return asks ? 'input_required' : 'working'
}

function messageOf(state: ReturnType<typeof jobState>, [first]: readonly InputRequest[]) {
  if (first !== undefined) return { statusMessage: wordsOf(first) }
  return state === 'queued' ? { statusMessage: 'Queued.' } : {}
}
