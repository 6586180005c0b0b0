// UsageCount: the tokens that one account used in one window, by writer. Pure. Each writer's total only grows, so of two
// totals the greater one is the later one: their order and repetitions do not matter.
export interface UsageCount {
  readonly own: number
  /** By writer. */
  readonly others: ReadonlyMap<string, number>
  readonly sum: number
}

export const NO_USAGE: UsageCount = { own: 0, others: new Map(), sum: 0 }

/** This process used more tokens. */
export function added(count: UsageCount, tokens: number): UsageCount {
  return { ...count, own: count.own + tokens, sum: count.sum + tokens }
}

/** Another process reported its total. */
export function merged(count: UsageCount, writer: string, total: number): UsageCount {
  const before = count.others.get(writer) ?? 0
  if (total <= before) return count
  return { ...count, others: new Map(count.others).set(writer, total), sum: count.sum + total - before }
}

/** The store returned the total that this process wrote earlier. */
export function restored(count: UsageCount, total: number): UsageCount {
  return total <= count.own ? count : { ...count, own: total, sum: count.sum + total - count.own }
}
