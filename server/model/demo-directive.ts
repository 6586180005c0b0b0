// DemoDirective: parses a message that starts with `/demo`. Pure. The demo model answers an invalid directive with its error and
// follows no part of it.

import { cutText, jsonCodec, LIMITS, parseJson } from '@parley/protocol'

export interface DemoCall {
  readonly name: string
  readonly input: unknown
}

export interface DemoDirective {
  /** Tokens of text: `0`, ` 1`, ` 2` … */
  readonly count: number
  /** Tokens per second; 0: as fast as they are read. */
  readonly rate: number
  /** Milliseconds to the first token of each model call. */
  readonly ttft: number
  /** Tokens of reasoning before anything else: `r0`, ` r1` … */
  readonly reasoning: number
  /** Called in parallel, before the text: `tool=`, and `ask=` and `handoff=` for the tools of other agents. */
  readonly tools: readonly DemoCall[]
  /** Pieces in which the arguments of each call are streamed; 0: they come whole. */
  readonly pieces: number
  /** Sources (`https://example.com/0` …) and files (pictures of one pixel) after the text. */
  readonly sources: number
  readonly files: number
  /** A provider error after this many tokens of the answer, reasoning included. */
  readonly fail?: number
  /** Silence after this many tokens of the answer, reasoning included. */
  readonly hang?: number
  /** A random delay of up to this many milliseconds per token, by `seed`. The rate stays. */
  readonly jitter: number
  readonly seed: number
}

export type ParsedDirective =
  | { readonly kind: 'none' }
  | { readonly kind: 'malformed'; readonly problem: string }
  | { readonly kind: 'directive'; readonly directive: DemoDirective }

/** The maximum of each number. Only `rate` may have a fraction. */
export const DEMO_LIMITS = {
  count: 1_000_000,
  rate: 1_000_000,
  ttft: 600_000,
  reasoning: 100_000,
  pieces: 1_000,
  sources: 1_000,
  files: 1_000,
  fail: 1_100_000,
  hang: 1_100_000,
  jitter: 60_000,
  seed: 4_294_967_295,
} as const

const MAX_TOOLS = 32
const PREFIXES = { tool: '', ask: 'ask_', handoff: 'handoff_to_' } as const
const DEFAULTS: DemoDirective = {
  count: 100,
  rate: 50,
  ttft: 0,
  reasoning: 0,
  pieces: 0,
  sources: 0,
  files: 0,
  tools: [],
  jitter: 0,
  seed: 0,
}

type NumberKey = keyof typeof DEMO_LIMITS

/** @param text of a user's message */
export function parseDemoDirective(text: string): ParsedDirective {
  const start = /^\s*\/demo(?=\s|$)/.exec(text)
  if (start === null) return { kind: 'none' }
  const numbers = new Map<NumberKey, number>()
  const tools: { name: string; input?: unknown }[] = []
  let at = start[0].length
  for (;;) {
    at += (/^\s*/.exec(text.slice(at)) as RegExpExecArray)[0].length
    if (at === text.length) break
    const key = /^([a-z]+)=/.exec(text.slice(at))
    if (key === null) return malformed(`${quote(word(text, at))} is not key=value`)
    const name = key[1] as string
    at += key[0].length
    if (name === 'input') {
      const tool = tools.at(-1)
      if (tool === undefined) return malformed('input= must follow its tool=')
      if ('input' in tool) return malformed(`tool ${quote(tool.name)} has two inputs`)
      const end = endOfJson(text, at)
      if (end === undefined) return malformed(`the input of tool ${quote(tool.name)} is not a complete JSON value`)
      const json = text.slice(at, end)
      try {
        tool.input = jsonCodec.decode(json, { maxValues: LIMITS.values, exact: true })
      } catch {
        return malformed(`the input of tool ${quote(tool.name)} is not JSON: ${quote(json)}`)
      }
      at = end
      continue
    }
    if (name === 'message' || name === 'reason') {
      const tool = tools.at(-1)
      const of = name === 'message' ? 'ask' : 'handoff'
      if (tool?.name.startsWith(PREFIXES[of]) !== true) return malformed(`${name}= must follow its ${of}=`)
      if ('input' in tool) return malformed(`${of}= has two inputs`)
      const end = endOfJson(text, at)
      const said = end === undefined ? undefined : textOf(text.slice(at, end))
      if (end === undefined || said === undefined) return malformed(`${name}= needs {text} or a JSON string`)
      tool.input = { [name]: said }
      at = end
      continue
    }
    const value = word(text, at)
    at += value.length
    if (name === 'tool' || name === 'ask' || name === 'handoff') {
      if (value === '') return malformed(`${name}= needs ${name === 'tool' ? 'a tool name' : 'the name of an agent'}`)
      if (tools.length === MAX_TOOLS) return malformed(`more than ${MAX_TOOLS} tools`)
      tools.push({ name: PREFIXES[name] + value })
    } else if (!isNumberKey(name)) {
      return malformed(`${quote(name)} is an unknown key`)
    } else if (numbers.has(name)) {
      return malformed(`${name}= is given twice`)
    } else {
      const form = name === 'rate' ? /^\d+(\.\d+)?$/ : /^\d+$/
      if (!form.test(value) || Number(value) > DEMO_LIMITS[name]) {
        return malformed(`${name} must be a ${name === 'rate' ? '' : 'whole '}number from 0 to ${DEMO_LIMITS[name]}`)
      }
      numbers.set(name, Number(value))
    }
  }
  const calls = tools.map((tool) => ({ name: tool.name, input: 'input' in tool ? tool.input : {} }))
  return { kind: 'directive', directive: { ...DEFAULTS, ...Object.fromEntries(numbers), tools: calls } }
}

/** The text between balanced braces, or of a JSON string. */
function textOf(value: string): string | undefined {
  if (value.startsWith('{')) return value.slice(1, -1)
  try {
    const text: unknown = parseJson(value)
    return typeof text === 'string' ? text : undefined
  } catch {
    return undefined
  }
}

function isNumberKey(key: string): key is NumberKey {
  return Object.hasOwn(DEMO_LIMITS, key)
}

function malformed(problem: string): ParsedDirective {
  return { kind: 'malformed', problem }
}

function word(text: string, at: number): string {
  return (/^\S*/.exec(text.slice(at)) as RegExpExecArray)[0]
}

/** The beginning of a text, enough to find it. */
function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${cutText(text, 40)}…` : text)
}

/** The end of the JSON value that begins at `at`. Objects, arrays and strings may contain spaces. */
function endOfJson(text: string, at: number): number | undefined {
  const first = text[at]
  if (first !== '{' && first !== '[' && first !== '"') return at + word(text, at).length
  let depth = 0
  let inString = false
  for (let i = at; i < text.length; i += 1) {
    const char = text[i]
    if (inString) {
      if (char === '\\') i += 1
      else if (char === '"') inString = false
    } else if (char === '"') inString = true
    else if (char === '{' || char === '[') depth += 1
    else if (char === '}' || char === ']') depth -= 1
    if (!inString && depth === 0) return i + 1
  }
  return undefined
}
