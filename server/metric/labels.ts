// Labels: what metrics may be told apart by. Every label has few values, whatever clients say: what is not on its list is
// `other`. No label names a user, a session or a run.
import { DOORS } from '@parley/protocol'

export const OTHER = 'other'

/** What the metrics of a run are told apart by; the node is a label of all metrics. */
export interface RunLabels {
  /** Through which its message came. */
  readonly door: string
  readonly gen_ai_request_model: string
  /** Of an experiment; '' where there is none. */
  readonly variant: string
}

export const NO_LABELS: RunLabels = { door: '', gen_ai_request_model: '', variant: '' }

export const RUN_LABELS = ['door', 'gen_ai_request_model', 'variant'] as const

/** Values that are let through. */
export class AllowList {
  readonly #allowed: ReadonlySet<string>

  constructor(allowed: Iterable<string>) {
    this.#allowed = new Set(allowed)
  }

  /** @returns the value, `other`, or '' for none */
  label(value: string | undefined): string {
    if (value === undefined || value === '') return ''
    return this.#allowed.has(value) ? value : OTHER
  }
}

const DOOR_LIST = new AllowList(DOORS)

/** Of one that is not told, `other`. */
export function doorLabel(door: string | undefined): string {
  return DOOR_LIST.label(door) || OTHER
}

/** Of a model's id, as OpenTelemetry calls them. */
const PROVIDERS: ReadonlyMap<string, string> = new Map([
  ['demo', 'parley.demo'],
  ['openai', 'openai'],
  ['anthropic', 'anthropic'],
  ['google', 'gcp.gemini'],
  ['compatible', 'openai.compatible'],
])

/** @param model an id such as `openai:gpt-5` */
export function providerLabel(model: string | undefined): string {
  return PROVIDERS.get(model?.split(':', 1)[0] ?? '') ?? OTHER
}
