// DemoAnswer: every byte of the demo model's output, computed from the message it answers. Pure: tests, the load test and any
// reader can check a stream against `demoText` and `demoReasoning`.
import { stringifyJson } from '@parley/protocol'
import { type DemoDirective, parseDemoDirective } from './demo-directive.ts'

/** A sequence of tokens that is computed on demand. */
export interface Tokens {
  readonly length: number
  at(index: number): string
}

/** A tool's output, or its error message. */
export interface DemoToolResult {
  readonly output?: unknown
  readonly error?: string | undefined
}

export interface DemoAnswer {
  readonly directive: DemoDirective
  readonly reasoning: Tokens
  /** @param results of its tool calls */
  text(results: readonly DemoToolResult[]): Tokens
}

/**
 * The complete text of the answer to a message, if the directive neither fails nor hangs: the JSON of each tool result on its
 * own line (an error as `{"error":"…"}`), then `0 1 2 …`.
 */
export function demoText(message: string, results: readonly DemoToolResult[] = []): string {
  return join(demoAnswer(message).text(results))
}

/** The complete reasoning of the answer: `r0 r1 r2 …`, or nothing. */
export function demoReasoning(message: string): string {
  return join(demoAnswer(message).reasoning)
}

/** @param message the user's text */
export function demoAnswer(message: string): DemoAnswer {
  const parsed = parseDemoDirective(message)
  if (parsed.kind === 'directive') {
    const { directive } = parsed
    return {
      directive,
      reasoning: counted(directive.reasoning, 'r'),
      text: (results) => after(results.map(resultLine), counted(directive.count, '')),
    }
  }
  const beginning = message.slice(0, READ_CHARS)
  const text = words(parsed.kind === 'malformed' ? help(parsed.problem) : introduction(beginning))
  return { directive: HUMAN_PACE, reasoning: words(THINKS.test(beginning) ? THOUGHT : ''), text: () => text }
}

/**
 * Where to continue a sequence of tokens after the text `said`. `rest` is the missing end of a partial token. If `said` does not
 * match the sequence, it starts from the beginning.
 */
export function resumeAt(tokens: Tokens, said: string): { readonly index: number; readonly rest: string } {
  let offset = 0
  for (let index = 0; index < tokens.length && offset < said.length; index += 1) {
    const token = tokens.at(index)
    if (!said.startsWith(token, offset)) {
      const part = said.slice(offset)
      return token.startsWith(part) ? { index: index + 1, rest: token.slice(part.length) } : { index: 0, rest: '' }
    }
    offset += token.length
    if (offset === said.length) return { index: index + 1, rest: '' }
  }
  return { index: said === '' ? 0 : tokens.length, rest: '' }
}

/** A number from 0 to 1 that depends only on seed and index. */
export function noise(seed: number, index: number): number {
  let x = (seed ^ Math.imul(index + 1, 0x9e3779b1)) >>> 0
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b) >>> 0
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35) >>> 0
  return ((x ^ (x >>> 16)) >>> 0) / 0x1_0000_0000
}

const NONE = { count: 0, reasoning: 0, pieces: 0, sources: 0, files: 0, tools: [] }
const HUMAN_PACE: DemoDirective = { ...NONE, rate: 40, ttft: 250, jitter: 20, seed: 1 }

function counted(length: number, prefix: string): Tokens {
  return { length, at: (index) => (index === 0 ? `${prefix}0` : ` ${prefix}${index}`) }
}

function after(lines: readonly string[], tokens: Tokens): Tokens {
  if (lines.length === 0) return tokens
  const length = lines.length + tokens.length
  return { length, at: (index) => lines[index] ?? tokens.at(index - lines.length) }
}

function words(text: string): Tokens {
  const tokens = text.match(/\s*\S+\s*$|\s*\S+/g) ?? []
  return { length: tokens.length, at: (index) => tokens[index] as string }
}

function resultLine(result: DemoToolResult): string {
  return `${stringifyJson(result.error === undefined ? (result.output ?? null) : { error: result.error })}\n`
}

function join(tokens: Tokens): string {
  let text = ''
  for (let index = 0; index < tokens.length; index += 1) text += tokens.at(index)
  return text
}

/** UTF-16 code units of a message in which the model looks for words. */
const READ_CHARS = 64 * 1024
const THINKS = /\b(think|reason|why)/i
const THOUGHT =
  'I am a script, so there is little to think about: I look for words that I know, pick a paragraph, and write it at a human pace.'

const TOPICS: readonly (readonly [RegExp, string])[] = [
  [
    /\b(stop|cancel|interrupt|redirect)/i,
    '**Stopping.** A cancel is final: once it is acknowledged, every reader sees this answer end at the same word. To redirect it, send a message with `policy: "interrupt"`.',
  ],
  [
    /\b(tools?|functions?|approv\w*)\b/i,
    '**Tools.** Declare tools when you attach, or configure them on the server. To make me call one, write `/demo tool=NAME input={"city": "Oslo"}`.',
  ],
  [/\b(form|question|ask)/i, '**Questions.** A tool may ask you something in a form. Try `/demo tool=demo_form`.'],
  [
    /\b(reconnect|resume|offline|crash|restart|cursor)/i,
    '**Reconnecting.** Disconnect whenever you like. Reconnect with your cursor, on any device, and you get what you missed, once and in order.',
  ],
]

const SETUP = `To use a real model, set one of these and restart the server:

- \`PARLEY_MODEL=openai:<id>\` with \`OPENAI_API_KEY\`
- \`PARLEY_MODEL=anthropic:<id>\` with \`ANTHROPIC_API_KEY\`
- \`PARLEY_MODEL=google:<id>\` with \`GOOGLE_GENERATIVE_AI_API_KEY\`
- \`PARLEY_MODEL=compatible:<id>\` with \`PARLEY_COMPATIBLE_URL\`, for vLLM, Ollama, llama.cpp or LM Studio`

const DIRECTIVES = `\`/demo count=200 rate=50 ttft=100\` writes 200 numbers, 50 per second, the first after 100 ms (\`rate=0\`: as fast as you read them). More keys: \`reasoning=N\`, \`tool=NAME input={…}\`, \`ask=AGENT message={…}\`, \`handoff=AGENT\`, \`fail=K\`, \`hang=K\`, \`jitter=MS\`, \`seed=N\`.`

function introduction(message: string): string {
  const topics = TOPICS.filter(([pattern]) => pattern.test(message)).map(([, paragraph]) => paragraph)
  return [
    'Hello! I am **the demo model** of Parley: a script, not a language model, so I cannot really answer you.',
    'Parley is a server for chat and agent sessions. A session is one durable log: you can leave in the middle of this sentence, open the session on another device, and find every word in place.',
    ...topics,
    SETUP,
    `You can also choose what I write. ${DIRECTIVES}`,
  ].join('\n\n')
}

function help(problem: string): string {
  return `I am the demo model, and I do not understand this directive: ${problem}.\n\n${DIRECTIVES}`
}
