// What providers say of a request that is too long, or that contains something they do not accept. The words are from the services' own
// errors: Anthropic, OpenAI, Google, and the servers that speak OpenAI's protocol.
import { APICallError, UnsupportedFunctionalityError } from '@ai-sdk/provider'
import { expect, it } from 'vitest'
import { refusalOf } from './refusal.ts'

function refused(statusCode: number, body: unknown): unknown {
  const responseBody = typeof body === 'string' ? body : JSON.stringify(body)
  const error = new APICallError({ message: 'x', url: 'http://x', requestBodyValues: {}, statusCode, responseBody })
  return refusalOf(error, statusCode)
}

const message = (text: string) => ({ error: { type: 'invalid_request_error', message: text, code: 400 } })

it.each([
  // https://github.com/google-gemini/gemini-cli/issues/6678, https://github.com/ggml-org/llama.cpp/pull/15780
  [message('prompt is too long: 250000 tokens > 200000 maximum'), 0.8],
  [
    message('input length and `max_tokens` exceed context limit: 180000 + 64000 > 200000, decrease input length'),
    136 / 180,
  ],
  [
    { error: { code: 'context_length_exceeded', message: 'Your input exceeds the context window of this model.' } },
    0.5,
  ],
  [
    message("This model's maximum context length is 8192 tokens. However, your messages resulted in 10240 tokens."),
    0.8,
  ],
  [message('The input token count (1310720) exceeds the maximum number of tokens allowed (1048576).'), 0.8],
  [
    {
      error: {
        code: 500,
        message: 'the request exceeds the available context size',
        type: 'exceed_context_size_error',
        n_prompt_tokens: 1280,
        n_ctx: 256,
      },
    },
    0.2,
  ],
  [message('request (10240 tokens) exceeds the available context size (8192 tokens), try increasing it'), 0.8],
  [message('Requested tokens (640) exceed context window of 512'), 0.8],
  [message("The input (10240 tokens) is longer than the model's context length (8192 tokens)."), 0.8],
  [message('The model is loaded with context length of only 4096 tokens, which is not enough'), 0.5],
  [
    message('Prompt contains 40960 tokens and 0 draft tokens, too large for model with 32768 maximum context length'),
    0.8,
  ],
  [message("This model's maximum prompt length is 131072 but the request contains 163840 tokens."), 0.8],
  [message('Please reduce the length of the messages or completion.'), 0.5],
])('knows that a request is too long, and how much of it fits: %j', (body, fits) => {
  const answer = { fits: expect.closeTo(fits, 5), inWords: false }
  expect(refused(400, body)).toEqual(answer)
  expect(refused(500, body)).toEqual(answer)
  // In mid-stream.
  expect(refusalOf((body as { error: unknown }).error)).toEqual(answer)
})

it('knows a body that is too large in bytes', () => {
  expect(refused(413, '<html>413 Request Entity Too Large</html>')).toEqual({ fits: 0.5, inWords: true })
})

it('knows other refusals of a prompt', () => {
  const content = { fits: 1, inWords: true }
  for (const status of [400, 415, 422]) expect(refused(status, message('no'))).toEqual(content)
  expect(refused(500, message('image input is not supported - hint: you may need to provide the mmproj'))).toEqual(
    content,
  )
  expect(
    refusalOf(new UnsupportedFunctionalityError({ functionality: 'file part media type application/zip' })),
  ).toEqual(content)
  // OpenRouter, and Google for a file whose 48 hours are over.
  expect(refused(404, message('No endpoints found that support image input'))).toEqual(content)
  expect(refused(403, message('You do not have permission to access the File abc or it may not exist.'))).toEqual(
    content,
  )
  // An error in an answer with status 200.
  expect(refusalOf({ message: 'no', code: 400 }, 400)).toEqual(content)
})

it('takes a request above OpenAI’s limit of tokens a minute for one that is too long', () => {
  const words =
    'Request too large for gpt-4 in organization org-x on tokens per min (TPM): Limit 30000, Requested 40000. The input or output tokens must be reduced in order to run successfully.'
  expect(refused(429, message(words))).toEqual({ fits: 0.75, inWords: false })
})

it('does not take quotas, credentials and failures for one', () => {
  expect(refused(429, message('Too many tokens, please wait before trying again.'))).toBeUndefined()
  expect(refused(401, message('no'))).toBeUndefined()
  expect(refused(404, message('no such model'))).toBeUndefined()
  expect(refused(500, message('oops'))).toBeUndefined()
  expect(refusalOf(new Error('fetch failed'))).toBeUndefined()
  expect(refusalOf(undefined)).toBeUndefined()
})
