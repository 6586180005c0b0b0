// The former completions API: its requests and answers in terms of chat completions. The models are chat models, so the
// prompt is a user message. Pure.
import { z } from 'zod'
import { ChatRequest } from './chat-request.ts'
import { only, Text } from './request-fields.ts'

const { model, stream, stream_options, max_tokens, temperature, top_p, presence_penalty, frequency_penalty } =
  ChatRequest.shape
const { seed, stop, logit_bias, n, user } = ChatRequest.shape

const PROMPT = 'must be a text, or a list with one text'

export const CompletionRequest = z.object({
  model,
  prompt: z.union([Text.min(1), z.array(Text.min(1)).length(1)], { error: PROMPT }),
  stream,
  stream_options,
  max_tokens,
  temperature,
  top_p,
  presence_penalty,
  frequency_penalty,
  seed,
  stop,
  logit_bias,
  user,
  n,
  best_of: only(1, 'only best_of = 1 is supported'),
  echo: only(false, 'echo is not supported'),
  logprobs: only(0, 'log probabilities are not supported'),
  suffix: only('', 'suffix is not supported'),
})

export function asChatRequest({ prompt, ...others }: z.infer<typeof CompletionRequest>): ChatRequest {
  const content = typeof prompt === 'string' ? prompt : prompt.join('')
  const { best_of: _best, echo: _echo, logprobs: _logprobs, suffix: _suffix, ...common } = others
  return { ...common, messages: [{ role: 'user', content }] }
}

interface Completion {
  readonly choices: readonly {
    readonly message?: { readonly content: string | null }
    readonly delta?: { readonly content?: string }
    readonly finish_reason: string | null
  }[]
}

/** @param completion a chat completion, or one of its chunks @returns undefined for a chunk without text or end */
export function asTextCompletion(completion: object): object | undefined {
  if (!('choices' in completion)) return completion
  const choices = (completion as Completion).choices.map(({ message, delta, finish_reason }) => {
    return { index: 0, text: message?.content ?? delta?.content ?? '', logprobs: null, finish_reason }
  })
  const isEmpty =
    choices.length > 0 && choices.every(({ text, finish_reason }) => text === '' && finish_reason === null)
  return isEmpty ? undefined : { ...completion, object: 'text_completion', choices }
}
