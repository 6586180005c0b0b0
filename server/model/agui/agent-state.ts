// AgentState: the state that a remote agent shares: a JSON value, which it replaces (STATE_SNAPSHOT) or changes (STATE_DELTA, RFC 6902).
import { isTooDeep, LIMITS } from '@parley/protocol'
import { applyPatch, type Operation } from 'rfc6902'
import { ProviderStreamError } from '../provider-failure.ts'
import { RelayLostError } from '../relayed-response.ts'

/** UTF-16 code units of the state as JSON. It is sent with every request. */
const MAX_CHARS = 1024 * 1024
/** Changes of one delta. */
const MAX_CHANGES = 1_000

export class AgentState {
  #json: string
  #isLost: boolean

  /** @param value of the last answer; undefined: none yet @param isLost whether it is unknown until the next snapshot */
  constructor(value: unknown, isLost = false) {
    this.#json = JSON.stringify(value ?? {})
    this.#isLost = isLost
  }

  get value(): unknown {
    return JSON.parse(this.#json)
  }

  /** @throws ProviderStreamError provider_garbage if it is too large or too deep */
  replace(value: unknown): void {
    this.#json = bounded(value ?? {})
    this.#isLost = false
  }

  /**
   * A delta that does not apply changes nothing, as with AG-UI's own client: the next snapshot corrects the state.
   * @throws ProviderStreamError provider_garbage if it makes the state too large or too deep
   * @throws RelayLostError if the state is unknown
   */
  change(delta: readonly unknown[]): void {
    if (this.#isLost) throw new RelayLostError('The answer changes a state that is unknown.')
    if (delta.length > MAX_CHANGES) throw new ProviderStreamError('provider_garbage', TOO_LARGE)
    const target = { value: this.value }
    for (const change of delta) {
      if (!isOperation(change)) return
      const moved = change.from === undefined ? {} : { from: `/value${change.from}` }
      const [error] = applyPatch(target, [{ ...change, path: `/value${change.path}`, ...moved } as Operation])
      if (error !== null) return
      // Each copy may double the state.
      if (change.op === 'copy') bounded(target.value)
    }
    this.replace(target.value)
  }
}

interface Change {
  readonly op: string
  readonly path: string
  readonly from?: string
}

function isOperation(change: unknown): change is Change {
  if (typeof change !== 'object' || change === null) return false
  const { op, path, from } = change as Partial<Change>
  const isMove = op === 'move' || op === 'copy'
  return typeof op === 'string' && typeof path === 'string' && (!isMove || typeof from === 'string')
}

function bounded(value: unknown): string {
  const json = asJson(value)
  if (json === undefined || isTooDeep(json)) throw new ProviderStreamError('provider_garbage', TOO_DEEP)
  if (json.length > MAX_CHARS) throw new ProviderStreamError('provider_garbage', TOO_LARGE)
  return json
}

/** @returns undefined if the value is too deep for JSON.stringify: each change of a delta may nest it more deeply */
function asJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

const TOO_DEEP = `The remote agent's state is nested deeper than ${LIMITS.depth} levels.`
const TOO_LARGE = `The remote agent's state is larger than ${MAX_CHARS} characters.`
