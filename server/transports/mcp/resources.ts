// The resources of the MCP endpoint: `parley://sessions/{id}` is the conversation of a session as Markdown, for its members.
import { Id, ReplyError, type SnapshotMessage } from '@parley/protocol'
import { catchUp } from '../../session/catch-up.ts'
import { hasEarlier } from '../../session/transcript/history-loader.ts'
import type { HttpExchange } from '../http/http-exchange.ts'
import { callerOf } from '../session-http/caller.ts'
import { messagesOf } from '../session-http/snapshot.ts'
import type { Params } from './rpc.ts'
import type { RunAnswerPorts } from './run-answer.ts'

const SCHEME = 'parley://sessions/'
const MARKDOWN = 'text/markdown'

export const RESOURCE_TEMPLATES = [
  {
    uriTemplate: `${SCHEME}{id}`,
    name: 'session',
    title: 'Conversation',
    description: 'The newest messages and answers of a session. A tool’s result names its session.',
    mimeType: MARKDOWN,
  },
] as const

/** @returns undefined if there is no such session for the caller @throws ReplyError, StorageError */
export async function readResource(
  ports: RunAnswerPorts,
  exchange: HttpExchange,
  uri: unknown,
): Promise<Params | undefined> {
  const id = Id.safeParse(typeof uri === 'string' && uri.startsWith(SCHEME) ? uri.slice(SCHEME.length) : undefined)
  if (!id.success) return undefined
  const { service, stores, sessions } = ports
  try {
    return await sessions.with(id.data, async (session) => {
      // As for a snapshot: before the check of access, so that a member whom another node has just removed reads nothing.
      await catchUp(stores, session)
      await service.admit(id.data, callerOf(exchange.request), 'read')
      const { state } = session
      if (state.seq === 0) return undefined
      const isCut = await hasEarlier(stores, id.data, state.messages[0]?.seq ?? Number.POSITIVE_INFINITY)
      const { messages, cut } = messagesOf(state, isCut)
      const title = state.title === undefined ? [] : [`# ${state.title}`]
      const earlier = cut || isCut ? ['*Earlier messages are left out.*'] : []
      const text = [...title, ...earlier, ...messages.map(markdownOf)].join('\n\n')
      return { contents: [{ uri, mimeType: MARKDOWN, text }] }
    })
  } catch (error) {
    if (error instanceof ReplyError && HIDDEN.has(error.code)) return undefined
    throw error
  }
}

const HIDDEN: ReadonlySet<string> = new Set(['forbidden', 'session_not_found', 'session_deleted'])

function markdownOf(message: SnapshotMessage): string {
  if (message.role === 'assistant') return `**Assistant** (${message.state}):\n\n${message.text}`
  const parts = message.content.map((part) => (part.type === 'text' ? part.text : `[${part.name ?? part.mediaType}]`))
  return `**${message.author}**:\n\n${parts.join('\n\n')}`
}
