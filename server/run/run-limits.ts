// RunLimits: what a run may use at most, and how long it waits for others.
import type { RunAgent } from './agent/agents.ts'
import type { ModelTimeouts } from './model-call.ts'

export interface RunLimits extends ModelTimeouts {
  /** Model calls. */
  readonly steps: number
  /** Output tokens over all steps, counted by deltas while they stream. */
  readonly outputTokens: number
  /** Milliseconds from the driver's start, including waits for tools and people. */
  readonly runMs: number
  /** Levels of child runs below the run of a message. */
  readonly childLevels: number
  /** Child runs below the run of a message, at all levels together. */
  readonly children: number
  readonly approvalMs: number
  readonly clientToolMs: number
  /** Attempts of a model call that fails temporarily before its first token. */
  readonly modelTries: number
  /** The longest wait (ms) that a provider may ask for before an attempt; beyond it, the run fails. */
  readonly modelWaitMs: number
  /** Retry appends for this long while the log cannot be written (ms). */
  readonly storageWaitMs: number
  /** Milliseconds that a run's message may come after its offer: at least the longest append. */
  readonly messageWaitMs: number
}

/** The agent's limits replace the server's. */
export function withLimits(limits: RunLimits, { limits: own }: Pick<RunAgent, 'limits'>): RunLimits {
  if (own.steps === undefined && own.outputTokens === undefined && own.runMs === undefined) return limits
  const { steps = limits.steps, outputTokens = limits.outputTokens, runMs = limits.runMs } = own
  return { ...limits, steps, outputTokens, runMs }
}

export const RUN_LIMITS: RunLimits = {
  steps: 16,
  outputTokens: 32_768,
  runMs: 30 * 60_000,
  childLevels: 4,
  children: 16,
  firstTokenMs: 60_000,
  betweenTokensMs: 30_000,
  approvalMs: 10 * 60_000,
  clientToolMs: 60_000,
  modelTries: 3,
  modelWaitMs: 30_000,
  storageWaitMs: 60_000,
  messageWaitMs: 12_000,
}
