// Steering: input of the user for a response that is being made. It interrupts the run of the response, as the policy `interrupt` does,
// and the next run of the session makes its successor, with the same settings.
import { makeId, ReplyError } from '@parley/protocol'
import { conforming } from '../../http/http-body.ts'
import { HttpError } from '../../http/http-error.ts'
import type { HttpRequest } from '../../http/http-request.ts'
import type { JobName } from '../../jobs/job-id.ts'
import { resolveItems } from '../item-references.ts'
import type { OpenAiPorts } from '../openai-ports.ts'
import { mustFind } from '../response-lookup.ts'
import { headOf, messageOf, responseId } from '../response-object.ts'
import { ResponseRequest, responseMessage } from '../response-request.ts'
import { nextId, send } from '../response-send.ts'

/** OpenAI's codes. */
export type SteerErrorCode =
  | 'response_not_found'
  | 'invalid_input'
  | 'steering_not_supported'
  | 'too_many_pending_steers'
  | 'response_already_completed'
  | 'response_not_active'
  | 'successor_creation_failed'

export class SteerError extends Error {
  override readonly name = 'SteerError'
  readonly code: SteerErrorCode

  constructor(code: SteerErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/** @returns the run of the successor @throws SteerError, StorageError */
export async function steerResponse(
  ports: OpenAiPorts,
  request: HttpRequest,
  name: JobName,
  input: unknown,
): Promise<JobName> {
  try {
    return await steer(ports, request, name, input)
  } catch (error) {
    if (error instanceof HttpError) throw new SteerError('invalid_input', error.message)
    if (!(error instanceof ReplyError)) throw error
    if (error.code === 'command_id_reused') {
      throw new SteerError('response_not_active', 'Another response already continues from this one.')
    }
    throw new SteerError('successor_creation_failed', error.message)
  }
}

async function steer(ports: OpenAiPorts, request: HttpRequest, name: JobName, input: unknown): Promise<JobName> {
  const found = await mustFind(ports, name)
  const message = messageOf(found)
  if (found.record.ended !== undefined || message === undefined) {
    throw new SteerError('response_already_completed', 'The response has ended.')
  }
  if (headOf(name, found).isConversation) {
    throw new SteerError('steering_not_supported', 'A response in a conversation cannot be steered.')
  }
  const { model = '', context: { history: _, metadata = {}, ...settings } = {} } = message
  const items = await resolveItems(ports, request, conforming(ResponseRequest.shape.input, input))
  const isOfUser = typeof items === 'string' || items.every((item) => item.type === 'message' && item.role === 'user')
  if (!isOfUser) throw new SteerError('invalid_input', 'Steering input consists of user messages.')
  const { content, context } = responseMessage({ model, input: items }, [], (file) => ports.acceptsFile(model, file))
  const own = { ...metadata, previous: responseId(name), by: makeId('by') }
  return send(ports, request, {
    ...{ type: 'send', id: nextId(name.run), session: name.session, content, model, policy: 'interrupt' },
    parent: message.id,
    context: { ...settings, ...(context.history === undefined ? {} : { history: context.history }), metadata: own },
  })
}
