// RunExtras: the outputs of a run that are not text: arguments while the model writes them, its sources and files, and what server
// tools show: data and progress. It keeps the limits of PROTOCOL.md.
import {
  cutText,
  isTooDeep,
  LIMITS,
  makeId,
  OUTPUT_LIMITS,
  type OutputPart,
  ReplyError,
  wellFormed,
} from '@parley/protocol'
import type { Logger } from 'pino'
import { compareAndAppend } from '../session/commands/compare-and-append.ts'
import type { SessionReplica } from '../session/session-replica.ts'
import { findCall } from '../session/state/session-state.ts'
import type { SessionLog } from '../store/ports/session-log.ts'
import type { ToolContext, ToolProgress } from '../tool/define-tool.ts'
import { Pace } from './pace.ts'
import type { Extra } from './run-state.ts'

/** What a model gives besides text. `id` is the provider's id of the call. */
export type ModelExtra =
  | { readonly kind: 'input'; readonly id: string; readonly name: string; readonly text: string }
  | Exclude<Extra, { kind: 'input' | 'data' }>

export interface RunExtrasOptions {
  readonly log: SessionLog
  readonly session: SessionReplica
  readonly run: string
  /** This driver: the node and the run's attempt. */
  readonly owner: string
  readonly logger: Logger
  /** Appends an output. */
  readonly give: (extra: Extra) => void
}

/** The shortest time (ms) between two values of one id or call. It doubles with every 250 outputs of the run. */
const PACE_MS = 100
const OUTPUTS_PER_PACE = 250

/** What a tool shows during one call. */
export interface CallReports extends Pick<ToolContext, 'data' | 'progress'> {
  /** Sends the waiting values, and nothing after that. */
  settled(): Promise<void>
}

export class RunExtras {
  readonly #options: RunExtrasOptions
  /** Bytes of data that is not replaced, by its id or a name of its own. */
  readonly #data = new Map<string, number>()
  #outputs = 0
  #links = 0
  #fileChars = 0
  /** The calls whose arguments the model has begun, by the provider's ids. */
  #begun: Map<string, string> | undefined

  /** @param output of earlier drivers */
  constructor(options: RunExtrasOptions, output: readonly OutputPart[]) {
    this.#options = options
    for (const part of output) {
      if (part.type === 'source' || part.type === 'file') this.#links += 1
      if (part.type === 'file') this.#fileChars += part.url?.length ?? 0
      if (part.type !== 'data') continue
      this.#outputs += part.lengths.length
      if (part.data !== undefined) this.#data.set(part.id ?? `#${part.index}`, sizeOf(part.data))
    }
  }

  /** Appends what the model gave, unless it exceeds a limit. */
  add(extra: ModelExtra): void {
    if (extra.kind !== 'input') {
      if (this.#admits(extra)) this.#options.give(extra)
      return
    }
    const { id, name, text } = extra
    this.#begun ??= new Map()
    const known = this.#begun.get(id)
    const call = known ?? makeId('call')
    this.#begun.set(id, call)
    this.#options.give({ kind: 'input', call, ...(known === undefined ? { name } : {}), text })
  }

  /** An earlier driver has begun the call. */
  resumed(id: string, call: string): void {
    this.#begun ??= new Map()
    this.#begun.set(id, call)
  }

  /** The id of a complete call in the log. */
  callId(id: string): string {
    const begun = this.#begun?.get(id)
    this.#begun?.delete(id)
    return begun ?? makeId('call')
  }

  /** The model call is over: the next one may use the provider's ids again. */
  nextStep(): void {
    this.#begun = undefined
  }

  /** For the execution of one call. */
  reports(call: string): CallReports {
    const paces = new Map<string, Pace<unknown>>()
    const progress = new Pace<ToolProgress>(
      (value) => this.#progress(call, value),
      () => PACE_MS,
    )
    let isOver = false
    return {
      data: (name, value, { id } = {}) => {
        if (isOver) return
        const data = this.#checked(name, value, id)
        const give = (newest: unknown): void => {
          this.#outputs += 1
          this.#options.give({ kind: 'data', name, ...(id === undefined ? {} : { id }), data: newest })
        }
        if (id === undefined) return give(data)
        const pace = paces.get(id) ?? new Pace(give, () => this.#paceMs())
        paces.set(id, pace)
        pace.push(data)
      },
      progress: (value) => {
        if (!isOver) progress.push(checkedProgress(value))
      },
      settled: async () => {
        isOver = true
        for (const pace of paces.values()) pace.end('send')
        await progress.end('drop')
      },
    }
  }

  #paceMs(): number {
    return PACE_MS * 2 ** Math.floor(this.#outputs / OUTPUTS_PER_PACE)
  }

  #admits(extra: Exclude<ModelExtra, { kind: 'input' }>): boolean {
    const chars = extra.kind === 'file' ? (extra.url?.length ?? 0) : 0
    if (this.#links + this.#data.size >= OUTPUT_LIMITS.runExtras) return false
    if (this.#fileChars + chars > OUTPUT_LIMITS.runFileChars) return false
    this.#links += 1
    this.#fileChars += chars
    return true
  }

  /** @returns the data as JSON has it @throws ReplyError too_large; TypeError */
  #checked(name: string, value: unknown, id: string | undefined): unknown {
    if (typeof name !== 'string' || name === '' || name.length > 64)
      throw new TypeError('the name of data must have 1 to 64 characters')
    if (id !== undefined && (id === '' || id.length > 128))
      throw new TypeError('the id of data must have 1 to 128 characters')
    const json = JSON.stringify(value)
    if (json === undefined) throw new TypeError('data must be JSON')
    if (isTooDeep(json)) throw new TypeError(`data must not be nested deeper than ${LIMITS.depth} levels`)
    const bytes = Buffer.byteLength(json)
    if (bytes > OUTPUT_LIMITS.dataBytes)
      throw new ReplyError('too_large', `The data ${name} is larger than ${OUTPUT_LIMITS.dataBytes} bytes.`)
    const key = id ?? `#${this.#outputs} ${this.#data.size}`
    const isNew = !this.#data.has(key)
    if (isNew && this.#links + this.#data.size >= OUTPUT_LIMITS.runExtras)
      throw new ReplyError('too_large', `The run has ${OUTPUT_LIMITS.runExtras} data, sources and files.`)
    let total = bytes - (this.#data.get(key) ?? 0)
    for (const size of this.#data.values()) total += size
    if (total > OUTPUT_LIMITS.runDataBytes)
      throw new ReplyError('too_large', `The data of the run is larger than ${OUTPUT_LIMITS.runDataBytes} bytes.`)
    this.#data.set(key, bytes)
    return wellFormed(JSON.parse(json) as unknown)
  }

  /** Appends progress, unless the call has a result or another driver. Progress is no reason to fail a run. */
  async #progress(call: string, value: ToolProgress): Promise<void> {
    const { log, session, run, owner, logger } = this.#options
    try {
      await compareAndAppend(log, session, (state) => {
        const found = findCall(state, call)
        if (found === undefined || found.run.phase === 'ended' || found.call.result !== undefined) return undefined
        if (found.call.claim?.connection !== owner) return undefined
        const event = { type: 'tool.progress' as const, run, call, ...value }
        return { subject: `tool.${call}`, expect: found.call.last, event }
      })
    } catch (error) {
      logger.debug({ err: error, run, call }, 'the progress of a tool call was not stored')
    }
  }
}

function sizeOf(data: unknown): number {
  return Buffer.byteLength(JSON.stringify(data) ?? '')
}

/** @throws TypeError */
function checkedProgress({ text, done, total }: ToolProgress): ToolProgress {
  for (const number of [done, total]) {
    if (number !== undefined && !(Number.isFinite(number) && number >= 0))
      throw new TypeError('progress must be a number from 0')
  }
  if (text === undefined && done === undefined) throw new TypeError('progress needs a text or a number')
  return {
    ...(text === undefined ? {} : { text: wellFormed(cutText(text, OUTPUT_LIMITS.progressChars)) }),
    ...(done === undefined ? {} : { done }),
    ...(total === undefined ? {} : { total }),
  }
}
