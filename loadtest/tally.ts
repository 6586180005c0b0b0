// Tally: summarizes the records of one transport. Pure.
import type { TransportName } from './drivers/driver.ts'
import type { AskRecord } from './generator-message.ts'
import { quantile, quantileCurve, sorted } from './quantile.ts'
import { addFaults, anyFault, type Faults, NO_FAULTS } from './stream-verifier.ts'

export interface Percentiles {
  readonly p50: number
  readonly p95: number
  readonly p99: number
}

/** Resources used by one transport; CPU only if it had the phase to itself. */
export interface Cost {
  readonly cpuMs: number | undefined
  readonly bytes: number
}

export interface TransportSummary {
  readonly door: TransportName
  readonly users: number
  readonly asked: number
  readonly completed: number
  readonly abandoned: number
  readonly failed: number
  readonly unfinished: number
  /** The number of questions that failed with each error. */
  readonly errors: Readonly<Record<string, number>>
  readonly outputs: number
  /** Times as the user saw them, and (`…Added`) without the model's own time, in ms. Undefined without answers. */
  readonly first: Percentiles | undefined
  readonly done: Percentiles | undefined
  readonly firstAdded: Percentiles | undefined
  readonly doneAdded: Percentiles | undefined
  readonly interruptions: number
  /** Questions whose answer lost its connection at least once. */
  readonly interrupted: number
  readonly resumeGap: Percentiles | undefined
  readonly resets: number
  readonly faults: Readonly<Faults>
  readonly cpuMsPerAsk: number | undefined
  readonly cpuUsPerOutput: number | undefined
  readonly bytesPerAsk: number
  /** Quantile functions at `CURVE_POINTS`, for plots. */
  readonly curves: Readonly<Record<'firstAdded' | 'doneAdded' | 'resumeGap', readonly (number | null)[]>>
}

/** Finer towards the end, because the tail matters most. */
export const CURVE_POINTS: readonly number[] = [
  ...Array.from({ length: 50 }, (_, at) => at / 50),
  ...[0.98, 0.985, 0.99, 0.992, 0.995, 0.997, 0.999, 1],
]

export function tally(door: TransportName, users: number, records: readonly AskRecord[], cost: Cost): TransportSummary {
  const of = (outcome: AskRecord['outcome']) => records.filter((record) => record.outcome === outcome).length
  const faults: Faults = { ...NO_FAULTS }
  const errors: Record<string, number> = {}
  for (const record of records) {
    addFaults(faults, record.faults)
    if (record.error !== undefined) errors[record.error] = (errors[record.error] ?? 0) + 1
  }
  const outputs = sum(records.map((record) => record.outputs))
  const firstAdded = sorted(
    records.flatMap(({ first, meantFirst }) => (first === undefined ? [] : [first - meantFirst])),
  )
  const doneAdded = sorted(records.flatMap(({ done, meantDone }) => (done === undefined ? [] : [done - meantDone])))
  const gaps = sorted(records.flatMap((record) => record.gaps))
  return {
    door,
    users,
    asked: records.length,
    completed: of('completed'),
    abandoned: of('abandoned'),
    failed: of('failed'),
    unfinished: of('unfinished'),
    errors,
    outputs,
    first: percentiles(sorted(records.flatMap(({ first }) => first ?? []))),
    done: percentiles(sorted(records.flatMap(({ done }) => done ?? []))),
    firstAdded: percentiles(firstAdded),
    doneAdded: percentiles(doneAdded),
    interruptions: sum(records.map((record) => record.interruptions)),
    interrupted: records.filter((record) => record.interruptions > 0).length,
    resumeGap: percentiles(gaps),
    resets: sum(records.map((record) => record.resets)),
    faults,
    cpuMsPerAsk: ratio(cost.cpuMs, records.length),
    cpuUsPerOutput: ratio(cost.cpuMs === undefined ? undefined : cost.cpuMs * 1000, outputs),
    bytesPerAsk: ratio(cost.bytes, records.length) ?? 0,
    curves: {
      firstAdded: quantileCurve(firstAdded, CURVE_POINTS),
      doneAdded: quantileCurve(doneAdded, CURVE_POINTS),
      resumeGap: quantileCurve(gaps, CURVE_POINTS),
    },
  }
}

/** A missing answer is a fault, too. */
export function isFaultless({ faults, failed, unfinished }: TransportSummary): boolean {
  return !anyFault(faults) && failed === 0 && unfinished === 0
}

function percentiles(values: readonly number[]): Percentiles | undefined {
  const [p50, p95, p99] = [quantile(values, 0.5), quantile(values, 0.95), quantile(values, 0.99)]
  return p50 === undefined || p95 === undefined || p99 === undefined ? undefined : { p50, p95, p99 }
}

function ratio(value: number | undefined, count: number): number | undefined {
  return value === undefined || count === 0 ? undefined : value / count
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
