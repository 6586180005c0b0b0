// TokenEstimate: about how many tokens a prompt has, before a provider has counted them. Tokenizers differ between models. Measured
// against OpenAI's o200k: English prose and code 1.0, JSON with hashes 0.9, German 1.3, Chinese 1.2, Russian 1.6, base64 0.6. Pure.
import type { LanguageModelV3FunctionTool, LanguageModelV3Message } from '@ai-sdk/provider'

/** Tokens of one ASCII character: a word has about five letters, and few tokens have several digits, capitals or signs. */
const ASCII = Array.from({ length: 128 }, (_, code) => {
  const char = String.fromCharCode(code)
  if (/[a-z]/.test(char)) return 0.2
  return /\s/.test(char) ? 0.15 : 0.6
})

type Message = LanguageModelV3Message
type Part = Exclude<Message['content'], string>[number]

/** Roles and separators. */
const TOKENS_PER_MESSAGE = 4
/** An image of about one megapixel. Providers count 250 to 1,600 tokens. */
const TOKENS_PER_IMAGE = 1_600
/** Documents and recordings have about one token in 40 characters of base64: a page of a PDF, or a second of an MP3. */
const CHARS_OF_FILE_PER_TOKEN = 40

/** A conversation is estimated several times for each model call, and may have many megabytes. */
const estimates = new WeakMap<Part | Message, number>()

export function estimateTokens(messages: readonly Message[]): number {
  let tokens = 0
  for (const message of messages) {
    const { content } = message
    tokens += TOKENS_PER_MESSAGE
    if (typeof content === 'string') tokens += estimateOf(message, () => textTokens(content))
    else for (const part of content) tokens += estimateOf(part, () => partTokens(part))
  }
  return Math.ceil(tokens)
}

export function estimateToolTokens(tools: readonly LanguageModelV3FunctionTool[]): number {
  return tools.length === 0 ? 0 : Math.ceil(textTokens(JSON.stringify(tools)))
}

function estimateOf(value: Part | Message, estimate: () => number): number {
  const known = estimates.get(value)
  if (known !== undefined) return known
  const tokens = estimate()
  estimates.set(value, tokens)
  return tokens
}

function partTokens(part: Part): number {
  switch (part.type) {
    case 'text':
    case 'reasoning':
      return textTokens(part.text)
    case 'file': {
      const size = typeof part.data === 'string' ? part.data.length / CHARS_OF_FILE_PER_TOKEN : 0
      return part.mediaType.startsWith('image/') ? TOKENS_PER_IMAGE : Math.max(TOKENS_PER_IMAGE, size)
    }
    case 'tool-call':
      return textTokens(part.toolName) + textTokens(JSON.stringify(part.input) ?? '')
    case 'tool-result':
      return textTokens(JSON.stringify(part.output))
    default:
      return 0
  }
}

function textTokens(text: string): number {
  let tokens = 0
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    tokens += ASCII[code] ?? unicodeTokens(code)
  }
  return tokens
}

/** Tokens of one UTF-16 code unit: of a letter, of half an emoji, and of any other character, such as a Chinese one. */
function unicodeTokens(code: number): number {
  if (code < 0x800) return 0.4
  return code >= 0xd800 && code < 0xe000 ? 1.3 : 0.9
}
