// Finds the run of a response, if the user of the request may read it.
import { type MessageEvent, ReplyError } from '@parley/protocol'
import { lookUpRun } from '../../session/find-run.ts'
import { withWholeMessages } from '../../session/large-messages.ts'
import type { FoundRun } from '../../session/run-report.ts'
import { hasEarlier, isCut, withHistory } from '../../session/transcript/history-loader.ts'
import type { HttpRequest } from '../http/http-request.ts'
import type { JobName } from '../jobs/job-id.ts'
import { callerOf } from '../session-http/caller.ts'
import { CONVERSATION_CHARS, type FoundConversation } from './conversation.ts'
import type { OpenAiPorts } from './openai-ports.ts'
import { headOf, parseResponseId } from './response-object.ts'

export interface FoundResponse {
  readonly name: JobName
  readonly found: FoundRun
}

/** Clients of OpenAI's API expect a response that they may not read, or that was deleted, not to exist. */
const HIDDEN: ReadonlySet<string> = new Set(['forbidden', 'session_not_found', 'session_deleted'])

/** @returns undefined if the response does not exist, was deleted, must not be stored, or is in a session that the user may not read */
export async function lookUpResponse(
  ports: OpenAiPorts,
  request: HttpRequest,
  id: string,
): Promise<FoundResponse | undefined> {
  const name = parseResponseId(id)
  if (name === undefined) return undefined
  let found: FoundRun | undefined
  try {
    await ports.service.admit(name.session, callerOf(request), 'read', true)
    found = await lookUp(ports, name)
  } catch (error) {
    if (error instanceof ReplyError && HIDDEN.has(error.code)) return undefined
    throw error
  }
  if (found === undefined || found.state.deletedResponses.has(name.run)) return undefined
  return headOf(name, found).isStored || ports.unstored?.has(id) === true ? { name, found } : undefined
}

/** The response with the earlier part of its conversation that is not in memory. @throws StorageError */
export async function withEarlier(
  { stores }: OpenAiPorts,
  { name, found: { state, record } }: FoundResponse,
): Promise<FoundResponse> {
  const longer = await withHistory(stores, name.session, state, record.message, CONVERSATION_CHARS)
  return { name, found: { state: longer, record } }
}

/** The response with its conversation, and the whole of large messages. @throws StorageError */
export async function withWholeConversation(ports: OpenAiPorts, response: FoundResponse): Promise<FoundConversation> {
  const { name, found } = await withEarlier(ports, response)
  const { state, record } = found
  const whole = await withWholeMessages(ports.stores, name.session, state, record.message, CONVERSATION_CHARS)
  return { state: whole, record, isCut: await isCut(ports.stores, name.session, whole, record.message) }
}

/** Whether the session has no other message, except those of deleted responses. @throws StorageError */
export function isAlone(ports: OpenAiPorts, { name }: FoundResponse): Promise<boolean> {
  return ports.sessions.with(name.session, async ({ state: { messages, deletedResponses } }) => {
    const isOther = ({ run }: MessageEvent): boolean => run !== name.run && !deletedResponses.has(run)
    const [first] = messages
    if (first === undefined || messages.some(({ event }) => isOther(event))) return false
    return !(await hasEarlier(ports.stores, name.session, first.seq))
  })
}

/** A run that must exist. @throws ReplyError run_not_found */
export async function mustFind(ports: OpenAiPorts, name: JobName): Promise<FoundRun> {
  const found = await lookUp(ports, name)
  if (found === undefined) throw new ReplyError('run_not_found')
  return found
}

function lookUp({ sessions, stores }: OpenAiPorts, { session, run }: JobName): Promise<FoundRun | undefined> {
  return sessions.with(session, (replica) => lookUpRun(stores, replica, run))
}
