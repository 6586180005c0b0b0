// JSON Schema validation of tool inputs and outputs, with a limit for the time of each step. Schemas of clients are checked in
// workers (schema-pool.ts), those of the server's own tools on the event loop.
import { Script } from 'node:vm'
import type { JsonSchema } from '@parley/protocol'
import { cutText } from '@parley/protocol/cut-text'
import { roundNumbers } from '@parley/protocol/exact-json'
import { Ajv, type Options, type ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { linearPattern } from './linear-pattern.ts'

/** Milliseconds for one validation on the event loop. */
const CHECK_LIMIT_MS = 250
/** Milliseconds to compile one schema. Longer, because Ajv's code may be cold and the machine busy. */
const COMPILE_LIMIT_MS = 5_000
/** Compiled schemas that are kept, and the UTF-16 code units of their JSON. */
const CACHE_SIZE = 512
const CACHE_CHARS = 1024 * 1024
const DEPTH_LIMIT = 64
/** Arrays and objects of one schema. Ajv compiles this number in 2 to 4 s. */
const NODE_LIMIT = 5_000

export type SchemaCheck =
  | { readonly ok: true }
  /** `timedOut`: the check may succeed later on a less busy machine. */
  | { readonly ok: false; readonly problem: string; readonly timedOut?: true }

const OPTIONS: Options = {
  strict: false,
  validateFormats: false,
  addUsedSchema: false,
  logger: false,
  // Both make the compilation of a large schema several times faster.
  inlineRefs: false,
  code: { optimize: false, regExp: linearPattern },
}
/** One instance checks all schemas of a draft, because each compiles the draft's own schema first. */
const metas = new Map<typeof Ajv | typeof Ajv2020, Ajv>()
const compiled = new Map<string, ValidateFunction>()
let cachedChars = 0

/** Whether the schema can be compiled. The problem is written for a developer. */
export function checkSchema(schema: JsonSchema): SchemaCheck {
  if (depth(schema) > DEPTH_LIMIT) return { ok: false, problem: `nested more than ${DEPTH_LIMIT} levels` }
  if (nodes(schema) > NODE_LIMIT) return { ok: false, problem: `more than ${NODE_LIMIT} arrays and objects` }
  try {
    compile(schema)
    return { ok: true }
  } catch (error) {
    if (isTimeout(error)) return { ok: false, problem: 'compiling the schema took too long', timedOut: true }
    return { ok: false, problem: error instanceof Error ? cutText(error.message, 300) : 'not a JSON Schema' }
  }
}

/** Validates a value. The problem has the path and the rule, but not the value. */
export function checkValue(schema: JsonSchema, value: unknown, limitMs = CHECK_LIMIT_MS): SchemaCheck {
  try {
    const validate = compile(schema)
    if (withTimeLimit(limitMs, () => validate(roundNumbers(value))) === true) return { ok: true }
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
  const Draft = String(schema.$schema ?? '').includes('draft-07') ? Ajv : Ajv2020
  const meta = metas.get(Draft) ?? new Draft(OPTIONS)
  metas.set(Draft, meta)
  const validate = withTimeLimit(COMPILE_LIMIT_MS, () => {
    // Ajv's own keyword makes a validation a promise, whose rejection nobody would handle.
    const { $async: _, ...rounded } = roundNumbers(schema)
    if (meta.validateSchema(rounded, true) !== true) throw new Error('not a JSON Schema')
    // An instance of its own, because schemas with the same $id must not affect each other.
    return new Draft({ ...OPTIONS, validateSchema: false }).compile(rounded)
  }) as ValidateFunction
  compiled.set(key, validate)
  cachedChars += key.length
  for (const oldest of compiled.keys()) {
    if (compiled.size <= CACHE_SIZE && cachedChars <= CACHE_CHARS) break
    compiled.delete(oldest)
    cachedChars -= oldest.length
  }
  return validate
}

function nodes(value: unknown): number {
  if (value === null || typeof value !== 'object') return 0
  return Object.values(value).reduce<number>((sum, inner) => sum + nodes(inner), 1)
}

function depth(value: unknown, level = 0): number {
  if (level > DEPTH_LIMIT || value === null || typeof value !== 'object') return level
  return Object.values(value).reduce<number>((deepest, inner) => Math.max(deepest, depth(inner, level + 1)), level)
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
