// Prices: what tokens cost, by model, as the operator says. Without a table nothing has a price; a model that is not in it
// has none either, rather than a wrong one.
import { z } from 'zod'

const Amount = z.number().min(0).max(1_000_000)

/** Prices of a million tokens. */
const ModelPrice = z.strictObject({ input: Amount, output: Amount })

export const PriceTable = z.strictObject({
  /** For people: a label of the metric. */
  currency: z
    .string()
    .regex(/^[A-Za-z]{1,8}$/, 'must be a name such as USD')
    .default('USD'),
  /** By the model's id; `openai:*` stands for all others of a provider. */
  models: z.record(z.string(), ModelPrice),
})
export type PriceTable = z.infer<typeof PriceTable>

export interface TokenCount {
  readonly inputTokens: number
  readonly outputTokens: number
}

const MILLION = 1_000_000

/** @returns undefined where the model has no price */
export function costOf(
  table: PriceTable,
  model: string,
  { inputTokens, outputTokens }: TokenCount,
): number | undefined {
  const price = own(table.models, model) ?? own(table.models, `${model.split(':', 1)[0]}:*`)
  if (price === undefined) return undefined
  return (inputTokens * price.input + outputTokens * price.output) / MILLION
}

function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined
}
