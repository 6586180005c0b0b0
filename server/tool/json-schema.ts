// JSON Schema checks of tool inputs and outputs. Schemas may come from clients, so compiling and
// checking run under a time limit: a schema with a regular expression that backtracks for ever
// costs its own call, not the server.
import { Script } from 'node:vm'
import type { JsonSchema } from '@parley/protocol'
import { Ajv, type ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'

/** Milliseconds for one check. */
const CHECK_LIMIT_MS = 250
/** Milliseconds to compile one schema: Ajv's code may be cold, and the machine busy. */
const COMPILE_LIMIT_MS = 2_000
const CACHE_SIZE = 512
const DEPTH_LIMIT = 64

export type SchemaCheck =
  | { readonly ok: true }
  /** `timedOut`: it may hold another time, on a machine that is less busy. */
  | { readonly ok: false; readonly problem: string; readonly timedOut?: true }

const OPTIONS = { strict: false, validateFormats: false, addUsedSchema: false, logger: false } as const
const compiled = new Map<string, ValidateFunction>()

/** Whether it is a schema that values can be checked against. The problem is in words for a developer. */
export function checkSchema(schema: JsonSchema): SchemaCheck {
  if (depth(schema) > DEPTH_LIMIT) return { ok: false, problem: `nested more than ${DEPTH_LIMIT} deep` }
  try {
    compile(schema)
    return { ok: true }
  } catch (error) {
    if (isTimeout(error)) return { ok: false, problem: 'it took too long to compile', timedOut: true }
    return { ok: false, problem: error instanceof Error ? error.message.slice(0, 300) : 'not a JSON Schema' }
  }
}

/** Checks a value. The problem names the place and the rule, not the value. */
export function checkValue(schema: JsonSchema | undefined, value: unknown): SchemaCheck {
  if (schema === undefined) return { ok: true }
  try {
    const validate = compile(schema)
    if (withTimeLimit(CHECK_LIMIT_MS, () => validate(value)) === true) return { ok: true }
    const [first] = validate.errors ?? []
    const where = first?.instancePath === undefined || first.instancePath === '' ? 'the value' : first.instancePath
    return { ok: false, problem: `${where} ${first?.message ?? 'does not fit'}`.slice(0, 300) }
  } catch (error) {
    return { ok: false, problem: isTimeout(error) ? 'the check took too long' : 'the schema cannot be applied' }
  }
}

function compile(schema: JsonSchema): ValidateFunction {
  const key = JSON.stringify(schema)
  const known = compiled.get(key)
  if (known !== undefined) {
    compiled.delete(key)
    compiled.set(key, known)
    return known
  }
  // An Ajv of its own: schemas with the same $id must not see each other.
  const ajv = String(schema.$schema ?? '').includes('draft-07') ? new Ajv(OPTIONS) : new Ajv2020(OPTIONS)
  const validate = withTimeLimit(COMPILE_LIMIT_MS, () => ajv.compile(schema)) as ValidateFunction
  compiled.set(key, validate)
  if (compiled.size > CACHE_SIZE) compiled.delete(compiled.keys().next().value as string)
  return validate
}

function depth(value: unknown, level = 0): number {
  if (level > DEPTH_LIMIT || value === null || typeof value !== 'object') return level
  return Math.max(level, ...Object.values(value).map((inner) => depth(inner, level + 1)))
}

// The vm module is the one way to put a time limit on synchronous code; nothing is isolated by it here.
const HOOK = Symbol.for('parley.json-schema.job')
const runJob = new Script(`globalThis[Symbol.for('parley.json-schema.job')]()`)

function withTimeLimit(timeout: number, job: () => unknown): unknown {
  const scope = globalThis as { [HOOK]?: () => unknown }
  scope[HOOK] = job
  try {
    return runJob.runInThisContext({ timeout })
  } finally {
    delete scope[HOOK]
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT'
}
