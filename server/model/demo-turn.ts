// DemoTurn: the demo model's position in its answer, computed from the prompt alone. Pure. It answers the last user message;
// everything after that message is already done and is not repeated.
import type { LanguageModelV3Message, LanguageModelV3Prompt, LanguageModelV3ToolResultPart } from '@ai-sdk/provider'
import { type DemoToolResult, demoAnswer, resumeAt, type Tokens } from './demo-answer.ts'
import type { DemoCall, DemoDirective } from './demo-directive.ts'
import { estimateTokens } from './token-estimate.ts'

export interface DemoTurn {
  readonly directive: DemoDirective
  /** The output of this model call: reasoning, then calls or text. */
  readonly reasoning: Tokens
  /** If there are any, `text` is empty: it follows their results in the next model call. */
  readonly calls: readonly DemoCall[]
  readonly text: Tokens
  /** The missing end of a partial token. It comes first. */
  readonly rest: { readonly kind: 'reasoning' | 'text'; readonly text: string } | undefined
  /** Tokens of the answer that earlier calls emitted, for `fail` and `hang`. */
  readonly emitted: number
  /** Tool calls of the answer that were made before. */
  readonly called: number
  /** An estimate. */
  readonly inputTokens: number
}

export function demoTurn(prompt: LanguageModelV3Prompt): DemoTurn {
  const asked = prompt.findLastIndex((message) => message.role === 'user')
  const answer = demoAnswer(userText(prompt[asked]))
  const turn = prompt.slice(asked + 1)
  const called = turn.flatMap(callsOf).length
  const calls = answer.directive.tools.slice(called)
  const base = { directive: answer.directive, called, inputTokens: estimateTokens(prompt) }

  // A tool call or its result ends a model call.
  const begun = turn.findLastIndex((message) => message.role === 'tool' || callsOf(message).length > 0) + 1
  const partial = turn.slice(begun)
  const text = calls.length > 0 ? NOTHING : answer.text(resultsOf(turn))
  const emittedText = textOf(partial, 'text')
  const inText = resumeAt(text, emittedText)
  if (called > 0 || emittedText !== '') {
    const at = answer.reasoning.length + inText.index
    return {
      ...base,
      reasoning: NOTHING,
      calls,
      text: from(text, inText.index),
      rest: restOf('text', inText.rest),
      emitted: at,
    }
  }
  const inReasoning = resumeAt(answer.reasoning, textOf(partial, 'reasoning'))
  const reasoning = from(answer.reasoning, inReasoning.index)
  return { ...base, reasoning, calls, text, rest: restOf('reasoning', inReasoning.rest), emitted: inReasoning.index }
}

const NOTHING: Tokens = { length: 0, at: () => '' }

function restOf(kind: 'reasoning' | 'text', text: string): DemoTurn['rest'] {
  return text === '' ? undefined : { kind, text }
}

function from(tokens: Tokens, start: number): Tokens {
  return start === 0 ? tokens : { length: tokens.length - start, at: (index) => tokens.at(start + index) }
}

/** The last text: adjacent user messages are joined into one. */
function userText(message: LanguageModelV3Message | undefined): string {
  if (message?.role !== 'user') return ''
  const texts = message.content.filter((part) => part.type === 'text')
  return texts.at(-1)?.text ?? ''
}

function textOf(messages: readonly LanguageModelV3Message[], kind: 'reasoning' | 'text'): string {
  let text = ''
  for (const message of messages) {
    if (message.role !== 'assistant') continue
    for (const part of message.content) if (part.type === kind) text += part.text
  }
  return text
}

function callsOf(message: LanguageModelV3Message): readonly string[] {
  if (message.role !== 'assistant') return []
  return message.content.flatMap((part) => (part.type === 'tool-call' ? [part.toolCallId] : []))
}

/** In the order of the calls, not of the results. */
function resultsOf(turn: readonly LanguageModelV3Message[]): DemoToolResult[] {
  const results = new Map<string, DemoToolResult>()
  for (const message of turn) {
    if (message.role !== 'tool') continue
    for (const part of message.content) {
      if (part.type === 'tool-result') results.set(part.toolCallId, resultOf(part.output))
    }
  }
  const calls = turn.flatMap(callsOf)
  return calls.flatMap((id) => results.get(id) ?? [])
}

function resultOf(output: LanguageModelV3ToolResultPart['output']): DemoToolResult {
  switch (output.type) {
    case 'execution-denied':
      return { error: output.reason ?? 'denied' }
    case 'error-text':
      return { error: output.value }
    case 'error-json':
      return { error: JSON.stringify(output.value) }
    default:
      return { output: output.value }
  }
}
