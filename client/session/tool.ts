// tool: declares a tool that the model may run on this machine. Its input schema is a JSON Schema or a schema of zod,
// ArkType or any other library that implements Standard Schema and Standard JSON Schema (standardschema.dev).
import type { Tool } from '@parley/protocol'
import type { ClientTool } from './session.ts'

/** A tool whose input schema comes from a schema library. */
export interface TypedTool<Schema extends StandardSchema, Output = unknown>
  extends Omit<ClientTool<SchemaOutput<Schema>, Output>, 'inputSchema'> {
  /** The server validates inputs with its JSON Schema, and this client parses them with the schema itself. */
  readonly inputSchema: Schema
}

/** The part of Standard Schema and Standard JSON Schema, version 1, that the SDK uses. */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined
    readonly jsonSchema?: { readonly input: (options: { readonly target: 'draft-2020-12' }) => Record<string, unknown> }
  }
}

export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] }

export interface StandardIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** What a schema's `validate` returns. */
export type SchemaOutput<Schema extends StandardSchema> = NonNullable<Schema['~standard']['types']>['output']

/**
 * Declares a tool. With a schema of zod (4.2 or later), ArkType or another library with Standard JSON Schema, `execute`
 * gets the parsed and typed input. With a JSON Schema the type parameters are not checked at run time: the server
 * validates.
 * @example
 * const weather = tool({
 *   name: 'weather',
 *   description: 'The weather of a city.',
 *   inputSchema: z.object({ city: z.string() }),
 *   execute: async ({ city }, { signal }) => (await fetch(`/weather/${city}`, { signal })).json(),
 * })
 * const session = client.session('trip', { tools: [weather] })
 * @throws TypeError if the schema library does not offer a JSON Schema
 */
export function tool<Schema extends StandardSchema, Output = unknown>(definition: TypedTool<Schema, Output>): ClientTool
export function tool<Input = Record<string, unknown>, Output = unknown>(
  definition: ClientTool<Input, Output>,
): ClientTool
export function tool(definition: ClientTool<never> | TypedTool<StandardSchema>): ClientTool {
  const { name, inputSchema: schema } = definition
  // The schemas of some libraries are functions.
  if (schema === undefined || !('~standard' in schema)) return definition as ClientTool
  const { validate, jsonSchema, vendor } = (schema as StandardSchema)['~standard']
  if (jsonSchema === undefined) {
    throw new TypeError(`Tool ${name}: this schema of ${vendor} has no Standard JSON Schema. Pass a JSON Schema.`)
  }
  const { execute } = definition as ClientTool
  return {
    ...(definition as ClientTool),
    inputSchema: jsonSchema.input({ target: 'draft-2020-12' }),
    async execute(input, context) {
      const result = await validate(input)
      if (result.issues !== undefined) throw new TypeError(result.issues.map(describe).join('; '))
      return execute.call(definition, result.value, context)
    },
  }
}

function describe({ message, path = [] }: StandardIssue): string {
  const at = path.map((step) => String(typeof step === 'object' ? step.key : step)).join('.')
  return at === '' ? message : `${at}: ${message}`
}

/** The part of a tool that the client sends to the server. */
export function declaration(definition: ClientTool): Tool {
  const { name, description, inputSchema, outputSchema, approval, timeoutMs } = definition
  return { name, description, inputSchema, outputSchema, approval, timeoutMs }
}
