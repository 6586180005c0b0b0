// ReplayedStep: an answer that the next driver of a run reads again from its beginning. It drops what the log already has of the
// answer, however the deltas were cut, and passes on the rest. It knows nothing of the run, except these parts of its output.
import { type OutputPart, type RelayedRequest, stringifyJson } from '@parley/protocol'
import type { CallState } from '../../session/state/call-state.ts'
import { fromParts, markUnseen, toParts } from '../../session/state/run-output.ts'
import type { RunRecord } from '../../session/state/run-record.ts'
import { type ModelToolCall, parseInput } from '../model-answer.ts'
import type { ModelExtra } from '../run-extras.ts'
import type { TextKind } from '../run-state.ts'

/** The answer is not the one that the log has. */
export class ReplayMismatch extends Error {
  override readonly name = 'ReplayMismatch'
}

type Part = Exclude<OutputPart, { type: 'tool' | 'message' | 'data' }>

export class ReplayedStep {
  readonly request: Pick<RelayedRequest, 'step' | 'next'>
  readonly #parts: readonly Part[]
  #at = 0
  /** UTF-16 code units of the current part that the answer has repeated. */
  #offset = 0
  readonly #calls: CallState[]
  /** Whether the log has anything of the answer. */
  readonly isStored: boolean
  /** Ids in the log of calls with arguments there, by the provider's ids. */
  readonly #ids = new Map<string, string>()

  /** @param run as the log has it @param request whose response the answer is */
  constructor(run: Pick<RunRecord, 'output' | 'calls'>, request: Pick<RelayedRequest, 'step' | 'next'>) {
    this.request = request
    this.#parts = outputFrom(toParts(run.output), request.next)
    this.#calls = [...run.calls.values()].filter(({ step }) => step === request.step)
    this.isStored = this.#parts.length + this.#calls.length > 0
  }

  /** @returns the part of the delta that the log lacks @throws ReplayMismatch */
  text(kind: TextKind, delta: string): string {
    return this.#rest((part) => part.type === kind, delta)
  }

  /** @returns what the log lacks @throws ReplayMismatch */
  extra(extra: ModelExtra): ModelExtra | undefined {
    if (extra.kind === 'input') {
      const text = this.#rest((part) => part.type === 'input' && this.#isCall(part, extra), extra.text)
      return text === '' ? undefined : { ...extra, text }
    }
    const part = this.#parts[this.#at]
    if (part === undefined) return extra
    if (part.type === extra.kind) this.#at += 1
    // The limits of the run did not admit it.
    return undefined
  }

  /** @returns the id in the log if that has a part of the call's arguments */
  idOf(id: string): string | undefined {
    return this.#ids.get(id)
  }

  /** @returns the call as the log has it; undefined if it lacks the call @throws ReplayMismatch */
  call(call: ModelToolCall): CallState | undefined {
    // Models make their calls at the end.
    this.#checkOver()
    return this.ran(call)
  }

  /** A call that a remote agent makes itself, anywhere in its answer. */
  ran({ id, name, input }: ModelToolCall): CallState | undefined {
    const known = this.#ids.get(id)
    const json = stringifyJson(parseInput(input) ?? input)
    const isSame = (call: CallState): boolean =>
      call.name === name && stringifyJson(call.input) === json && (known === undefined || known === call.id)
    const at = this.#calls.findIndex(isSame)
    if (at < 0) {
      if (this.#calls.some(({ remote }) => !remote))
        throw new ReplayMismatch('The answer has another call than the log.')
      return undefined
    }
    return this.#calls.splice(at, 1)[0]
  }

  /** Whether the answer has repeated all that the log has. */
  get isRepeated(): boolean {
    return this.#at >= this.#parts.length && this.#calls.length === 0
  }

  /** The answer has repeated a call, in another form. */
  drop(id: string): void {
    const at = this.#calls.findIndex((call) => call.id === id)
    if (at >= 0) this.#calls.splice(at, 1)
  }

  /** The answer is complete. @throws ReplayMismatch if the log has more */
  end(): void {
    this.#checkOver()
    if (this.#calls.length > 0) throw new ReplayMismatch('The log has a call that the answer lacks.')
  }

  #checkOver(): void {
    if (this.#at < this.#parts.length) throw new ReplayMismatch('The log has more than the answer.')
  }

  #rest(isSame: (part: Part) => boolean, delta: string): string {
    let rest = delta
    while (rest !== '') {
      const part = this.#parts[this.#at]
      if (part === undefined) return rest
      const text = 'text' in part ? part.text : ''
      const count = Math.min(rest.length, text.length - this.#offset)
      if (!isSame(part) || !text.startsWith(rest.slice(0, count), this.#offset)) {
        throw new ReplayMismatch('The answer has another text than the log.')
      }
      rest = rest.slice(count)
      this.#offset += count
      if (this.#offset < text.length) continue
      this.#at += 1
      this.#offset = 0
    }
    return rest
  }

  #isCall(
    part: Extract<Part, { type: 'input' }>,
    { id, name }: { readonly id: string; readonly name: string },
  ): boolean {
    const known = this.#ids.get(id)
    if (known !== undefined) return known === part.call
    if (part.name !== name || [...this.#ids.values()].includes(part.call)) return false
    this.#ids.set(id, part.call)
    return true
  }
}

/** The outputs of a model from an index on. Data comes from tools. */
function outputFrom(output: readonly OutputPart[], next: number): Part[] {
  return markUnseen(output, next - 1).filter(
    (part): part is Part => isPart(part) && part.unseen === true && !isEmpty(part),
  )
}

function isPart(part: OutputPart): part is Part {
  return part.type !== 'tool' && part.type !== 'message' && part.type !== 'data'
}

function isEmpty(part: Part): boolean {
  return (part.type === 'text' || part.type === 'reasoning' || part.type === 'input') && part.text === ''
}

/** The run without the output and the calls of a step. */
export function beforeStep(run: RunRecord, { step, next }: Pick<RelayedRequest, 'step' | 'next'>): RunRecord {
  const calls = new Map([...run.calls].filter(([, call]) => call.step < step))
  const output = markUnseen(toParts(run.output), next - 1).filter((part) =>
    part.type === 'tool' ? calls.has(part.call) : !('unseen' in part && part.unseen === true),
  )
  return { ...run, calls, output: fromParts(output) }
}
