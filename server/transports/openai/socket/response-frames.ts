// The frames of the Responses WebSocket. Those of the client are OpenAI's, besides `response.cancel`. Those of the server are the events
// of streamed responses, errors, and the outcome of steering. Pure.
import { z } from 'zod'
import { failureOf } from '../../http/failure.ts'
import { asOpenAiError } from '../openai-error.ts'
import { only } from '../request-fields.ts'
import { InputItems, ResponseRequest } from '../response-request.ts'

/** Routes a response: those with the same id are made one after the other, and their events repeat it. */
const StreamId = z.string().min(1).max(128)
const ResponseId = z.string().max(300)

export const CreateFrame = ResponseRequest.extend({
  type: z.literal('response.create'),
  stream_id: StreamId.nullish(),
  background: only(false, 'is not supported over WebSocket'),
  /** Checked with the request that it continues, which may have the whole input. */
  input: InputItems.nullish().transform((input) => input ?? []),
  /** `false`: a warm-up, which has no answer. */
  generate: z.boolean().nullish(),
})
export type CreateFrame = z.infer<typeof CreateFrame>

const SteerFrame = z.object({
  type: z.literal('response.steer'),
  previous_response_id: ResponseId,
  /** Checked later: an invalid one goes back to the client. */
  input: z.unknown(),
})
export type SteerFrame = z.infer<typeof SteerFrame>

const CancelFrame = z.object({ type: z.literal('response.cancel'), response_id: ResponseId })
export type CancelFrame = z.infer<typeof CancelFrame>

export const ResponseFrame = z.discriminatedUnion('type', [CreateFrame, SteerFrame, CancelFrame])

/** A frame of the server, before its `stream_id` is added. */
export type ServerEvent = Readonly<Record<string, unknown>>

/** The `stream_id` of a frame, even if the rest of it is invalid. */
export function streamIdIn(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('stream_id' in value)) return undefined
  return StreamId.safeParse(value.stream_id).data
}

export function errorEvent(error: unknown, request: string): ServerEvent {
  const failure = failureOf(error)
  const { body, status = failure.status } = asOpenAiError(failure, request)
  const { error: fields } = body as { readonly error: object }
  const headers = Object.keys(failure.headers).length === 0 ? {} : { headers: failure.headers }
  return { type: 'error', status, error: { ...fields, ...headers } }
}
