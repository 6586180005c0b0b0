// Refusal: whether a provider, or its package, refused a request because of its prompt, so that another prompt may be accepted. Pure.
import { APICallError, UnsupportedFunctionalityError } from '@ai-sdk/provider'
import { EmptyAnswerError } from './provider-failure.ts'

export interface Refusal {
  /** About this share of the request fits; 1: it is not too long. */
  readonly fits: number
  /** Something other than its length is refused, which words alone may avoid. */
  readonly inWords: boolean
}

const CONTENT: Refusal = { fits: 1, inWords: true }

/**
 * @param error thrown by `doStream` or its stream, or the content of an `error` part
 * @param status the HTTP status (400 to 599) of the provider's answer, or of the error in it
 */
export function refusalOf(error: unknown, status?: number): Refusal | undefined {
  if (UnsupportedFunctionalityError.isInstance(error)) return CONTENT
  if (error instanceof EmptyAnswerError) return { fits: HALF, inWords: false }
  const text = wordsOf(error)
  // llama.cpp answers 500 for an image that its model does not support, OpenRouter 404, and Google 403 for a file that has expired.
  if ((status === 500 || status === 404 || status === 403) && FILES.test(text)) return CONTENT
  // Quotas count tokens, too. A single request above OpenAI's limit a minute never succeeds.
  if (status === 401 || status === 403 || (status === 429 && !TOO_LARGE.test(text))) return undefined
  // Files count in bytes, not in tokens.
  if (status === 413 || TOO_LONG.test(text)) return { fits: shareThatFits(text), inWords: status === 413 }
  return status === 400 || status === 415 || status === 422 ? CONTENT : undefined
}

const TOO_LARGE = /request too large/i

/**
 * What the providers say of a request that is too long. Anthropic: "prompt is too long: 205000 tokens > 200000 maximum", "exceed context
 * limit", `request_too_large`. OpenAI: `context_length_exceeded`, "exceeds the context window". Google: "The input token count (…) exceeds
 * the maximum number of tokens allowed". vLLM, LiteLLM, OpenRouter: "maximum context length is …". llama.cpp: `exceed_context_size_error`.
 * llama-cpp-python: "exceed context window". SGLang: "longer than the model's context length". LM Studio: "context length of only …".
 * Mistral: "too large for model with … maximum context length". xAI: "maximum prompt length". Groq: "reduce the length of the messages".
 */
const TOO_LONG = new RegExp(
  [
    'context_length_exceeded|exceed_context_size|request_too_large|model_context_window_exceeded',
    '(prompt|input|request|conversation)( is)? too (long|large)',
    '(exceeds?|longer than|larger than|greater than|too large for|beyond)\\b.{0,60}\\bcontext[ _](window|length|size|limit)',
    '(maximum|available|only)\\b.{0,20}\\bcontext[ _](window|length|size)|context[ _](window|length|size)\\b.{0,20}\\b(exceeded|only)',
    'token count.{0,40}exceeds|maximum prompt length|reduce the length|too many (input )?tokens',
  ].join('|'),
  'i',
)

const FILES = /image|audio|video|vision|multimodal|mmproj|\bfile\b/i

/** UTF-16 code units of an error that are searched. */
const MAX_WORDS = 64 * 1024

function wordsOf(error: unknown): string {
  if (APICallError.isInstance(error)) return (error.responseBody ?? error.message).slice(0, MAX_WORDS)
  if (error instanceof Error) return error.message.slice(0, MAX_WORDS)
  return typeof error === 'object' && error !== null ? JSON.stringify(error).slice(0, MAX_WORDS) : ''
}

/** If the error does not say how long the request and the window are. */
const HALF = 0.5

/** The first two numbers of tokens in the error are the request and the window, in either order. "a + b > c": a prompt, an answer, the window. */
function shareThatFits(text: string): number {
  const sum = /(\d+) \+ (\d+) > (\d+)/.exec(text)
  const [tokens, window] = sum === null ? numbersIn(text) : [Number(sum[1]), Number(sum[3]) - Number(sum[2])]
  if (tokens === undefined || window === undefined) return HALF
  const share = Math.min(tokens, window) / Math.max(tokens, window)
  return share > 0 && share < 1 ? share : HALF
}

function numbersIn(text: string): number[] {
  const named = /"n_prompt_tokens"\s*:\s*(\d+).{0,40}?"n_ctx"\s*:\s*(\d+)/s.exec(text)
  const found =
    named === null
      ? Array.from(text.matchAll(/(?<![\w.,-])(\d{1,3}(,\d{3})+|\d+)(?=[\s)>."']|, |$)/g), ([written]) => written)
      : named.slice(1)
  return found.map((written) => Number(written.replaceAll(',', ''))).filter((tokens) => tokens >= MIN_WINDOW)
}

/** No model has a smaller window. Smaller numbers are something else, such as a status. */
const MIN_WINDOW = 256
