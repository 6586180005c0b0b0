// SchemaPool: checks JSON Schemas that clients chose, and values against them, in worker threads. The cost of such a check is the
// client's choice, so it must not be paid on the event loop: a worker limits the time of each check, and budgets limit the sum.
import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'
import { type JsonSchema, ReplyError } from '@parley/protocol'
import type { SchemaCheck } from './json-schema.ts'

/** The client that causes a check. */
export interface Payer {
  readonly session: string
  readonly connection?: string | undefined
  /** Undefined without authentication, because all clients are one user then. */
  readonly user?: string | undefined
}

/** A job for schema-worker.ts: without `value`, compile the schema. Both are JSON. */
export interface SchemaJob {
  readonly schema: string
  readonly value: string | undefined
}

/** Its result. `ms`: the worker's time. */
export interface SchemaAnswer {
  readonly check: SchemaCheck
  readonly ms: number
}

interface Job extends SchemaJob {
  /** Those of the payer. */
  readonly keys: readonly Key[]
  resolve(check: SchemaCheck): void
  reject(error: unknown): void
}

interface Busy {
  readonly job: Job
  readonly began: number
  readonly timer: NodeJS.Timeout
}

type Budgets = Readonly<Record<'connection' | 'user' | 'session', number>>
/** A budget of one payer. */
type Key = readonly [kind: keyof Budgets, key: string]

/** Milliseconds of the workers' time. A used budget is available again in full after `REFILL_MS`. */
const BUDGETS_MS: Budgets = { connection: 10_000, user: 20_000, session: 40_000 }
const REFILL_MS = 120_000
const WORKERS = 2
/** UTF-16 code units of all waiting jobs, and those that a job counts in addition, so that at most 1,024 jobs wait. */
const WAITING_CHARS = 16 * 1024 * 1024
const JOB_CHARS = 16 * 1024
/** Replaces a worker that does not answer. It limits each check itself, to less. */
const LOST_MS = 15_000
/** The compiled file, also in tests, because Node.js 20 cannot run TypeScript. */
const WORKER = createRequire(import.meta.url).resolve('@parley/server/internal/tool/schema-worker')

export class SchemaPool {
  readonly #budgets: Budgets
  readonly #lostMs: number
  readonly #maxChars: number
  #waiting: Job[] = []
  #waitingChars = 0
  readonly #idle: Worker[] = []
  readonly #busy = new Map<Worker, Busy>()
  /** What was used of each budget, at a time (ms). The least recently used first. */
  readonly #used = new Map<string, { readonly ms: number; readonly at: number }>()

  constructor({ budgets = BUDGETS_MS, lostMs = LOST_MS, maxChars = WAITING_CHARS } = {}) {
    this.#budgets = budgets
    this.#lostMs = lostMs
    this.#maxChars = maxChars
  }

  /**
   * Whether the schema can be compiled.
   * @throws ReplyError rate_limited if a budget of the payer is used up; unavailable if too much waits
   */
  async checkSchema(schema: JsonSchema, payer: Payer): Promise<SchemaCheck> {
    return this.#check({ schema: JSON.stringify(schema), value: undefined }, payer)
  }

  /** Validates a value. @throws as `checkSchema` */
  async checkValue(schema: JsonSchema | undefined, value: unknown, payer: Payer): Promise<SchemaCheck> {
    if (schema === undefined) return { ok: true }
    return this.#check({ schema: JSON.stringify(schema), value: JSON.stringify(value) }, payer)
  }

  /** Ends the workers. The next check starts new ones. */
  async close(): Promise<void> {
    await Promise.all([...this.#idle.splice(0), ...this.#busy.keys()].map((worker) => worker.terminate()))
  }

  async #check(job: SchemaJob, payer: Payer): Promise<SchemaCheck> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...job, keys: keysOf(payer), resolve, reject })
      this.#waitingChars += charsOf(job)
      while (this.#waitingChars > this.#maxChars) this.#take(-1).reject(new ReplyError('unavailable', TOO_MUCH))
      this.#pump()
    })
  }

  #pump(): void {
    while (this.#waiting.length > 0 && (this.#idle.length > 0 || this.#busy.size < WORKERS)) {
      const job = this.#take(1)
      if (this.#share(job.keys) < 1) this.#run(this.#idle.pop() ?? this.#start(), job)
      else this.#refuse([job, ...this.#waiting.splice(0)])
    }
  }

  /** Refuses all waiting jobs at once, because even the smallest share is used up. */
  #refuse(jobs: readonly Job[]): void {
    this.#waitingChars = 0
    for (const { keys, reject } of jobs) {
      const retryAfterMs = Math.ceil((this.#share(keys) - 0.95) * REFILL_MS)
      reject(new ReplyError('rate_limited', USED_UP, { retryAfterMs }))
    }
  }

  /** Takes the job whose payer has used the least (`order` 1) or the most (-1) of a budget. */
  #take(order: 1 | -1): Job {
    const shares = this.#waiting.map(({ keys }) => order * this.#share(keys))
    const [job] = this.#waiting.splice(shares.indexOf(Math.min(...shares)), 1) as [Job]
    this.#waitingChars -= charsOf(job)
    return job
  }

  #run(worker: Worker, job: Job): void {
    const timer = setTimeout(() => this.#ended(worker), this.#lostMs)
    this.#busy.set(worker, { job, began: performance.now(), timer })
    worker.ref()
    worker.postMessage({ schema: job.schema, value: job.value } satisfies SchemaJob)
  }

  #start(): Worker {
    const worker = new Worker(WORKER, { name: 'schema', execArgv: [], resourceLimits: { maxOldGenerationSizeMb: 192 } })
    worker.on('message', (answer: SchemaAnswer) => {
      const job = this.#finish(worker, answer.ms)
      this.#idle.push(worker)
      worker.unref()
      job?.resolve(answer.check)
      this.#pump()
    })
    worker.on('error', (error) => this.#ended(worker, error))
    worker.on('exit', () => this.#ended(worker))
    return worker
  }

  /** The worker is lost, or must be: it has no memory or does not answer. */
  #ended(worker: Worker, cause?: unknown): void {
    const at = this.#idle.indexOf(worker)
    if (at >= 0) this.#idle.splice(at, 1)
    const began = this.#busy.get(worker)?.began ?? 0
    const job = this.#finish(worker, performance.now() - began)
    if (job === undefined) return
    const isDefect = cause instanceof Error && (cause as NodeJS.ErrnoException).code !== 'ERR_WORKER_OUT_OF_MEMORY'
    if (isDefect) job.reject(cause)
    else job.resolve({ ok: false, problem: 'the check needs too much time or memory', timedOut: true })
    worker.terminate().then(
      () => this.#pump(),
      (error: unknown) => job.reject(error),
    )
  }

  #finish(worker: Worker, ms: number): Job | undefined {
    const busy = this.#busy.get(worker)
    if (busy === undefined) return undefined
    this.#busy.delete(worker)
    clearTimeout(busy.timer)
    for (const [kind, key] of busy.job.keys) {
      const used = this.#level(kind, key) + ms
      this.#used.delete(key)
      this.#used.set(key, { ms: used, at: performance.now() })
    }
    for (const [key, { at }] of this.#used) {
      if (performance.now() - at < REFILL_MS) break
      this.#used.delete(key)
    }
    return busy.job
  }

  /** The largest used share of a payer's budgets; from 1 on, one is used up. */
  #share(keys: readonly Key[]): number {
    return keys.reduce((share, [kind, key]) => Math.max(share, this.#level(kind, key) / this.#budgets[kind]), 0)
  }

  #level(kind: keyof Budgets, key: string): number {
    const used = this.#used.get(key)
    if (used === undefined) return 0
    return Math.max(0, used.ms - ((performance.now() - used.at) / REFILL_MS) * this.#budgets[kind])
  }
}

const USED_UP = 'The schemas of your tools took too much time to check. Use simpler ones, or wait.'
const TOO_MUCH = 'Too many schema checks are waiting.'

/** The pool of this process. */
export const schemaPool = new SchemaPool()

function keysOf(payer: Payer): readonly Key[] {
  const kinds = ['connection', 'user', 'session'] as const
  return kinds.flatMap((kind) => (payer[kind] === undefined ? [] : [[kind, `${kind} ${payer[kind]}`] as const]))
}

function charsOf({ schema, value = '' }: SchemaJob): number {
  return JOB_CHARS + schema.length + value.length
}
