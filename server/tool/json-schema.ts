// JSON Schema validation of tool inputs and outputs. Schemas may come from clients, so compilation and validation have
// a time limit: a schema whose regular expression backtracks without end fails its own call, and does not block the
// server.
import { Script } from 'node:vm'
import { cutText, type JsonSchema, roundNumbers } from '@parley/protocol'
import { Ajv, type ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'

/** Milliseconds for one validation. */
const CHECK_LIMIT_MS = 250
/** Milliseconds to compile one schema. Longer, because Ajv's code may be cold and the machine busy. */
const COMPILE_LIMIT_MS = 2_000
const CACHE_SIZE = 512
const DEPTH_LIMIT = 64

export type SchemaCheck =
  | { readonly ok: true }
  /** `timedOut`: the check may succeed later on a less busy machine. */
  | { readonly ok: false; readonly problem: string; readonly timedOut?: true }

const OPTIONS = { strict: false, validateFormats: false, addUsedSchema: false, logger: false } as const
const compiled = new Map<string, ValidateFunction>()

/** Whether the schema can be compiled. The problem is written for a developer. */
export function checkSchema(schema: JsonSchema): SchemaCheck {
  if (depth(schema) > DEPTH_LIMIT) return { ok: false, problem: `nested more than ${DEPTH_LIMIT} levels` }
  try {
    compile(schema)
    return { ok: true }
  } catch (error) {
    if (isTimeout(error)) return { ok: false, problem: 'compiling the schema took too long', timedOut: true }
    return { ok: false, problem: error instanceof Error ? cutText(error.message, 300) : 'not a JSON Schema' }
  }
}

/** Validates a value. The problem has the path and the rule, but not the value. */
export function checkValue(schema: JsonSchema | undefined, value: unknown): SchemaCheck {
  if (schema === undefined) return { ok: true }
  try {
    const validate = compile(schema)
    if (withTimeLimit(CHECK_LIMIT_MS, () => validate(roundNumbers(value))) === true) return { ok: true }
    const [first] = validate.errors ?? []
    const where = first?.instancePath === undefined || first.instancePath === '' ? 'the value' : first.instancePath
    return { ok: false, problem: cutText(`${where} ${first?.message ?? 'does not match'}`, 300) }
  } catch (error) {
    return { ok: false, problem: isTimeout(error) ? 'validation took too long' : 'the schema is invalid' }
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
  // A separate Ajv instance, because schemas with the same $id must not affect each other.
  const ajv = String(schema.$schema ?? '').includes('draft-07') ? new Ajv(OPTIONS) : new Ajv2020(OPTIONS)
  const validate = withTimeLimit(COMPILE_LIMIT_MS, () => ajv.compile(roundNumbers(schema))) as ValidateFunction
  compiled.set(key, validate)
  if (compiled.size > CACHE_SIZE) compiled.delete(compiled.keys().next().value as string)
  return validate
}

function depth(value: unknown, level = 0): number {
  if (level > DEPTH_LIMIT || value === null || typeof value !== 'object') return level
  return Math.max(level, ...Object.values(value).map((inner) => depth(inner, level + 1)))
}

// The vm module is used only because it can limit the time of synchronous code. It isolates nothing here.
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
