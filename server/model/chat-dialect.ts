// ChatDialect: an answer in OpenAI's chat completions protocol, as real servers send it. It becomes what the AI SDK's package
// expects: errors in one shape, deltas instead of whole messages, no events without meaning. Pure, except for its own state.
import { parseJson, stringifyJson } from '@parley/protocol'
import type { AnswerDialect } from './answer-fetch.ts'

type Json = Record<string, unknown>

/** A delta. Inside a text, the quotes have a backslash. */
const DELTA = /"delta"\s*:\s*\{/
/** What a later delta may need to have changed, and the end. */
const SPECIAL = /"(?:error|message|text|tool_calls)"|"finish_reason"\s*:(?!\s*null)/

export class ChatDialect implements AnswerDialect {
  end: AnswerDialect['end'] = 'open'
  /** A delta had content. */
  #said = false

  event(data: string, name: string): string | undefined {
    if (data === '[DONE]') {
      this.end = 'ended'
      return data
    }
    // Nearly every event of an answer. Parsing and writing it again would add a fifth to the package's own cost of a token.
    if (this.#said && name !== 'error' && DELTA.test(data) && !SPECIAL.test(data)) return data
    const chunk = parse(data)
    // Invalid JSON is the package's error.
    if (chunk === undefined) return data
    const error = errorOf(chunk, name)
    if (error !== undefined) return JSON.stringify({ error })
    const { error: _, ...others } = chunk
    const choices = Array.isArray(chunk.choices) ? (chunk.choices as unknown[]) : []
    // Some servers send such events to keep the connection alive.
    if (choices.length === 0 && !isObject(chunk.usage) && !Array.isArray(chunk.choices)) return undefined
    // The chunk with the usage and no choice is the last.
    if (this.end === 'finished' && choices.length === 0 && isObject(chunk.usage)) this.end = 'ended'
    return JSON.stringify({
      ...others,
      choices: choices.map((choice) => (isObject(choice) ? this.#choice(choice) : choice)),
    })
  }

  #choice(choice: Json): Json {
    const { message, text, delta, finish_reason: reason, ...others } = choice
    let said = isObject(delta) ? delta : undefined
    // Some servers repeat the whole message at the end.
    if (!this.#said && !saysSomething(said)) {
      if (isObject(message)) said = withoutNulls(message)
      else if (typeof text === 'string') said = { ...said, content: text }
    }
    if (Array.isArray(said?.tool_calls)) said = { ...said, tool_calls: (said.tool_calls as unknown[]).map(asToolCall) }
    this.#said ||= saysSomething(said)
    const finish = typeof reason === 'string' && reason !== '' ? reason : null
    if (finish !== null && this.end === 'open') this.end = 'finished'
    return { ...others, ...(said === undefined ? {} : { delta: said }), finish_reason: finish }
  }
}

/**
 * The error of a chunk or a body, in OpenAI's shape. Servers also send `{"error": "…"}`, `{"object": "error", …}`, or an event
 * named `error`; and `"error": null` in chunks without an error.
 */
function errorOf(chunk: Json, name: string): Json | undefined {
  const { error } = chunk
  if (isObject(error)) return asError(error)
  if (typeof error === 'string' && error !== '') return asError({ ...chunk, message: error })
  if (chunk.object === 'error' || name === 'error') return asError(chunk)
  return undefined
}

/** The package refuses an error without a message, and drops every field that it does not know. */
function asError(error: Json): Json {
  const { message, type, code, status } = error
  const found = [code, status, error.status_code].find(
    (value) => typeof value === 'string' || typeof value === 'number',
  )
  return {
    message: typeof message === 'string' ? message : '',
    ...(typeof type === 'string' ? { type } : {}),
    ...(found === undefined ? {} : { code: found }),
  }
}

function saysSomething(delta: Json | undefined): boolean {
  if (delta === undefined) return false
  const { content, reasoning_content: reasoningContent, reasoning, refusal, tool_calls: calls } = delta
  return [content, reasoningContent, reasoning, refusal, calls].some(
    (value) => (typeof value === 'string' || Array.isArray(value)) && value.length > 0,
  )
}

/** Whole messages have no index. Some servers send arguments as an object. */
function asToolCall(call: unknown, index: number): unknown {
  if (!isObject(call) || !isObject(call.function)) return call
  const { arguments: input } = call.function
  if (!isObject(input)) return call
  return { index, ...call, function: { ...call.function, arguments: stringifyJson(input) } }
}

function withoutNulls(message: Json): Json {
  return Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null))
}

/** @returns undefined for invalid JSON; an empty object for any other JSON value */
function parse(data: string): Json | undefined {
  try {
    const value: unknown = parseJson(data)
    return isObject(value) ? value : {}
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
