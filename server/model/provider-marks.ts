// ProviderMarks: what a provider wants back, unchanged, with the tool calls that its model made: signatures of reasoning (Anthropic,
// Google), encrypted reasoning (OpenAI), or the reasoning itself (DeepSeek and Kimi, over `compatible`). Some refuse the next request
// without it. The log and the OpenAI-compatible API carry it as an opaque text.
import type { LanguageModelV3Message, SharedV3ProviderMetadata } from '@ai-sdk/provider'
import { type CallMarks, MARKS_CHARS, type Mark, parseMarks } from '@parley/protocol'
import type { Model } from './model.ts'

type AssistantContent = Extract<LanguageModelV3Message, { role: 'assistant' }>['content']
type AssistantPart = AssistantContent[number]
type ToolCallPart = Extract<AssistantPart, { type: 'tool-call' }>

type Kind = 'text' | 'reasoning' | 'call'

const FIELDS: Readonly<Record<string, readonly string[]>> = {
  anthropic: ['signature', 'redactedData'],
  openai: ['itemId', 'reasoningEncryptedContent', 'phase'],
  google: ['thoughtSignature'],
  // A remote agent's ids (see agui/agent-marks.ts).
  agui: ['message', 'call', 'interrupt', 'form'],
}

/**
 * The mark in a part's metadata. `@ai-sdk/openai-compatible` 2 reports Gemini's signature under the name of its provider, but sends
 * back only the one under `google`. The ids of OpenAI's items matter only for reasoning, whose parts they group.
 */
export function markOf(kind: Kind, metadata: SharedV3ProviderMetadata | undefined): Mark | undefined {
  if (metadata === undefined) return undefined
  for (const [name, fields] of Object.entries(FIELDS)) {
    const given = metadata[name] ?? (name === 'google' ? metadata.compatible : undefined)
    if (given === undefined) continue
    const own = fields.filter(
      (field) => typeof given[field] === 'string' && (field !== 'itemId' || kind === 'reasoning'),
    )
    if (own.length > 0) return { [name]: Object.fromEntries(own.map((field) => [field, String(given[field])])) }
  }
  return undefined
}

/**
 * @param before the parts of the answer since its previous call
 * @returns undefined if the provider wants nothing back, or more than a log entry takes
 */
export function encodeMarks({ id, language }: Model, before: AssistantContent, call: ToolCallPart): string | undefined {
  const keepsReasoning = language.provider.startsWith('compatible')
  const pieces: NonNullable<CallMarks['before']> = []
  for (const part of before) {
    if (part.type !== 'text' && part.type !== 'reasoning') continue
    const mark = optional('mark', markOf(part.type, part.providerOptions))
    if (part.type === 'text') pieces.push({ chars: part.text.length, ...mark })
    else if (keepsReasoning || mark.mark !== undefined) pieces.push({ reasoning: part.text, ...mark })
  }
  const isMarked = pieces.some((piece) => 'reasoning' in piece || piece.mark !== undefined)
  const own = optional('call', markOf('call', call.providerOptions))
  if (!isMarked && own.call === undefined) return undefined
  const marks: CallMarks = { model: id, ...own, ...(isMarked ? { before: pieces } : {}) }
  const text = JSON.stringify(marks)
  return text.length > MARKS_CHARS ? undefined : text
}

/** Without the key if there is no value. */
function optional<Name extends string>(name: Name, value: Mark | undefined): { [name in Name]?: Mark } {
  return (value === undefined ? {} : { [name]: value }) as { [name in Name]?: Mark }
}

/** A call of an answer, with the marks that the log or a caller has for it. */
export interface MarkedCall {
  readonly part: ToolCallPart
  readonly marks: string | undefined
}

/**
 * The content of an answer as the model wrote it: with its reasoning, and the parts in their order.
 * @param parts the text of the answer, and reasoning that is sent in any case
 * @param model the id of the model that gets the prompt
 */
export function markedContent(parts: AssistantContent, calls: readonly MarkedCall[], model: string): AssistantContent {
  const marked = calls.map(({ part, marks }) => ({ part, marks: parseMarks(marks) }))
  if (marked.every(({ marks }) => marks?.model !== model)) return [...parts, ...calls.map(({ part }) => part)]
  const content: AssistantContent = []
  let text = parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
  for (const { part, marks } of marked) {
    const own = marks?.model === model ? marks : undefined
    for (const piece of own?.before ?? []) {
      const options = optional('providerOptions', markOf('reasoning' in piece ? 'reasoning' : 'text', piece.mark))
      if ('reasoning' in piece) content.push({ type: 'reasoning', text: piece.reasoning, ...options })
      else if (piece.chars > 0 && text !== '') {
        content.push({ type: 'text', text: text.slice(0, piece.chars), ...options })
        text = text.slice(piece.chars)
      }
    }
    content.push({ ...part, ...optional('providerOptions', markOf('call', own?.call)) })
  }
  if (text === '') return content
  const first = content.findIndex(({ type }) => type === 'tool-call')
  return [...content.slice(0, first), { type: 'text', text }, ...content.slice(first)]
}

/** @returns the prompt without marks; undefined if it has none */
export function withoutMarks(prompt: readonly LanguageModelV3Message[]): LanguageModelV3Message[] | undefined {
  let had = false
  const result = prompt.map((message): LanguageModelV3Message => {
    if (message.role !== 'assistant') return message
    const content = message.content.flatMap((part): AssistantContent => {
      if (part.providerOptions === undefined) return [part]
      had = true
      const { providerOptions: _, ...rest } = part
      return part.type === 'reasoning' ? [] : [rest]
    })
    return { ...message, content }
  })
  return had ? result : undefined
}

/** What Google documents for calls whose signature is unknown: https://ai.google.dev/gemini-api/docs/thought-signatures */
const NO_SIGNATURE = { google: { thoughtSignature: 'skip_thought_signature_validator' } }

/** Gemini 3 over an OpenAI-compatible API refuses answers whose first call has no signature. `@ai-sdk/google` does this itself. */
export function withSignatures(prompt: readonly LanguageModelV3Message[]): LanguageModelV3Message[] {
  return prompt.map((message) => {
    if (message.role !== 'assistant') return message
    const calls = message.content.filter((part) => part.type === 'tool-call')
    if (calls.length === 0 || calls.some(({ providerOptions }) => providerOptions?.google !== undefined)) return message
    const content = message.content.map((part) =>
      part === calls[0] ? { ...part, providerOptions: NO_SIGNATURE } : part,
    )
    return { ...message, content }
  })
}
