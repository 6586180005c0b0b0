// Labels of metrics. Every label has few values, whatever clients send: unknown values become `other`. No label contains a
// user, a session or a run.
import { DOORS } from '@parley/protocol'

export const OTHER = 'other'

/** The labels of a run's metrics. All metrics also have the label `node`. */
export interface RunLabels {
  /** The transport of its message. */
  readonly door: string
  readonly gen_ai_request_model: string
  /** The variant of an experiment, or ''. */
  readonly variant: string
}

export const NO_LABELS: RunLabels = { door: '', gen_ai_request_model: '', variant: '' }

export const RUN_LABELS = ['door', 'gen_ai_request_model', 'variant'] as const

/** Replaces unknown values. */
export class AllowList {
  readonly #allowed: ReadonlySet<string>

  constructor(allowed: Iterable<string>) {
    this.#allowed = new Set(allowed)
  }

  /** @returns the value, `other` if it is unknown, or '' if there is none */
  label(value: string | undefined): string {
    if (value === undefined || value === '') return ''
    return this.#allowed.has(value) ? value : OTHER
  }
}

const DOOR_LIST = new AllowList(DOORS)

/** @returns `other` for an unknown or missing transport */
export function doorLabel(door: string | undefined): string {
  return DOOR_LIST.label(door) || OTHER
}

/** Names of OpenTelemetry's conventions, by the provider in a model's id. */
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
