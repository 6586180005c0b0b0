// The worker of schema-pool.ts: one check for each message, one after the other.
import { parentPort } from 'node:worker_threads'
import { checkSchema, checkValue } from './json-schema.ts'
import type { SchemaAnswer, SchemaJob } from './schema-pool.ts'

/** Milliseconds for one validation. V8 needs some of them to compile a large schema's code. */
const CHECK_LIMIT_MS = 1_000

// The first compilation takes many times longer. Nobody pays for that.
checkSchema({ type: 'object' })

parentPort?.on('message', ({ schema, value }: SchemaJob) => {
  const began = performance.now()
  const parsed = JSON.parse(schema)
  const check = value === undefined ? checkSchema(parsed) : checkValue(parsed, JSON.parse(value), CHECK_LIMIT_MS)
  parentPort?.postMessage({ check, ms: performance.now() - began } satisfies SchemaAnswer)
})
