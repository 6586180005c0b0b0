// inputProblem: checks a call's input against the schema that this client declared. The server checks it, too, but a device does
// not rely on that. Loaded with the first call of a tool that has a schema.
import { Validator } from '@cfworker/json-schema'
import type { JsonSchema } from '@parley/protocol'
import { asObject, roundNumbers } from '@parley/protocol/exact-json'

/** @returns why the input does not match, for the model; undefined if it matches */
export function inputProblem(schema: JsonSchema, input: unknown): string | undefined {
  const draft = String(schema.$schema ?? '').includes('draft-07') ? '7' : '2020-12'
  // The validator marks the schema's objects.
  const own = structuredClone(withoutFormats(schema)) as JsonSchema
  const { valid, errors } = new Validator(own, draft).validate(roundNumbers(asObject(input)))
  if (valid) return undefined
  return `The input does not match the tool's schema: ${errors.at(-1)?.error ?? 'no rule allows it.'}`
}

/** As for the server, `format` is a note for the model. */
function withoutFormats(schema: unknown): unknown {
  if (typeof schema !== 'object' || schema === null) return schema
  if (Array.isArray(schema)) return schema.map(withoutFormats)
  const fields = Object.entries(schema).filter(([key, value]) => key !== 'format' || typeof value !== 'string')
  return Object.fromEntries(
    fields.map(([key, value]) => [key, key === 'const' || key === 'enum' ? value : withoutFormats(value)]),
  )
}
