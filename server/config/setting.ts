// One setting: its variable, default, meaning and schema; and the schemas of values that several settings share.
import { Budget } from '@parley/protocol'
import { z } from 'zod'
import { parseBudget } from '../limit/budget.ts'

export interface Setting<T> {
  readonly variable: string
  /** For people: what it does, with its unit in parentheses. Understandable without any other row. */
  readonly help: string
  /** Accepts the variable's text, or a value from a configuration file. */
  readonly schema: z.ZodType<T>
  readonly fallback: T
  /** The value must not be shown. */
  readonly secret?: true
}

export function setting<T, Fallback extends T | undefined>(
  variable: string,
  schema: z.ZodType<T>,
  fallback: Fallback,
  help: string,
  more: { readonly secret?: true } = {},
): Setting<Fallback extends undefined ? T | undefined : T> {
  return { variable, schema, fallback, help, ...more } as Setting<Fallback extends undefined ? T | undefined : T>
}

export const text = z.string().trim().min(1)

/** An array, or items separated by commas. */
export const list = z.union([
  z.array(text),
  text.transform((items) =>
    items
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== ''),
  ),
])

export const yesOrNo = z.enum(['yes', 'no'], { error: 'must be yes or no' })

/** An object, or text such as `1000000/1d`. */
export const budget = z.union([Budget, text.transform((written) => parseBudget(written)).pipe(Budget)], {
  error: 'must be tokens per time window of up to 31 days, such as 1000000/1d or 50000/12h',
})

/** A whole number, or its text. */
export function whole(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`
  const number = z.int({ error }).min(min, { error }).max(max, { error })
  return z.union([z.number(), z.string().regex(/^\d+$/).transform(Number)], { error }).pipe(number)
}
