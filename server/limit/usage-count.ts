// UsageCount: what one account has spent in one window, as every writer says it. Pure: a counter that only grows (of two things
// that a writer said, the greater is the later one), so that it does not matter in which order, or how often, they are heard.
export interface UsageCount {
  readonly own: number
  /** By writer. */
  readonly others: ReadonlyMap<string, number>
  readonly sum: number
}

export const NOTHING_SPENT: UsageCount = { own: 0, others: new Map(), sum: 0 }

/** This process has spent more. */
export function spent(count: UsageCount, tokens: number): UsageCount {
  return { ...count, own: count.own + tokens, sum: count.sum + tokens }
}

/** Another process says that it has spent so much in all. */
export function heard(count: UsageCount, writer: string, total: number): UsageCount {
  const before = count.others.get(writer) ?? 0
  if (total <= before) return count
  return { ...count, others: new Map(count.others).set(writer, total), sum: count.sum + total - before }
}

/** The store says what this process said before. */
export function recalled(count: UsageCount, total: number): UsageCount {
  return total <= count.own ? count : { ...count, own: total, sum: count.sum + total - count.own }
}
