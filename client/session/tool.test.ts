// Tests tools whose input schema comes from a schema library, as declared to the server and as executed.
import { expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { type ClientTool, type Session, type StandardSchema, type ToolContext, tool } from '../index.ts'
import { declaration } from './tool.ts'

const context: ToolContext = { signal: new AbortController().signal, call: 'c1', session: {} as Session }
const run = (made: ClientTool, input: unknown): unknown => made.execute(input, context)

const trip = tool({
  name: 'trip',
  description: 'Plans a trip.',
  approval: true,
  inputSchema: z.object({ city: z.string().trim(), days: z.int().min(1).default(2) }),
  execute(input, { call }) {
    expectTypeOf(input).toEqualTypeOf<{ city: string; days: number }>()
    return { ...input, call, own: this.name }
  },
})

it('declares the JSON Schema of a zod schema’s input', () => {
  expect(declaration(trip)).toEqual({
    name: 'trip',
    description: 'Plans a trip.',
    approval: true,
    inputSchema: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      properties: {
        city: { type: 'string' },
        days: { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER, default: 2 },
      },
      required: ['city'],
    },
  })
})

it('gives the handler the parsed input, and the model what is wrong with it', async () => {
  expect(await run(trip, { city: ' Bern ' })).toEqual({ city: 'Bern', days: 2, call: 'c1', own: 'trip' })
  await expect(run(trip, { city: 'Bern', days: 0 })).rejects.toThrow(/^days: .*>=1/)
  await expect(run(trip, { days: 'x' })).rejects.toThrow(/^city: .*; days: /)
})

it('takes a schema of any library, also one that validates asynchronously and is a function', async () => {
  const schema = Object.assign(() => undefined, {
    '~standard': {
      version: 1 as const,
      vendor: 'own',
      validate: async (value: unknown) =>
        typeof value === 'string'
          ? { value: value.length }
          : { issues: [{ message: 'no text', path: [{ key: 'a' }] }] },
      jsonSchema: { input: ({ target }: { target: string }) => ({ type: 'string', $comment: target }) },
    },
  }) satisfies StandardSchema<number>
  const made = tool({ name: 'length', inputSchema: schema, execute: (length) => length })
  expect(made.inputSchema).toEqual({ type: 'string', $comment: 'draft-2020-12' })
  expect(await run(made, 'four')).toBe(4)
  await expect(run(made, 4)).rejects.toThrow('a: no text')
})

it('refuses a library without JSON Schemas at once, and leaves plain JSON Schemas as they are', () => {
  const bare: StandardSchema = { '~standard': { version: 1, vendor: 'valibot', validate: (value) => ({ value }) } }
  expect(() => tool({ name: 'bare', inputSchema: bare, execute: () => 1 })).toThrow(
    'Tool bare: this schema of valibot has no Standard JSON Schema. Pass a JSON Schema.',
  )
  const plain = { name: 'plain', inputSchema: { type: 'object' }, execute: ({ a }: { a?: number }) => a }
  expect(tool<{ a?: number }>(plain)).toBe(plain)
})
