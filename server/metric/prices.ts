// Prices of tokens by model, from the operator's table. A model that is not in the table has no price, rather than a
// wrong one.
import { z } from 'zod'

const Amount = z.number().min(0).max(1_000_000)

/** Prices of a million tokens. */
const ModelPrice = z.strictObject({ input: Amount, output: Amount })

export const PriceTable = z.strictObject({
  /** A label value of the cost metric. */
  currency: z
    .string()
    .regex(/^[A-Za-z]{1,8}$/, 'must be a name such as USD')
    .default('USD'),
  /** By model id; `openai:*` is the price of all other models of a provider. */
  models: z.record(z.string(), ModelPrice),
})
export type PriceTable = z.infer<typeof PriceTable>

export interface TokenCount {
  readonly inputTokens: number
  readonly outputTokens: number
}

const MILLION = 1_000_000

/** @returns undefined if the model has no price */
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
