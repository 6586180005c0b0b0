// UI messages of the AI SDK from a session's view, and contents of Parley from UI messages. Pure.
import type { Content, MessageView, Part, RunView, SessionView, TurnView } from '@parley/client'
import type { FileUIPart, UIMessage, UIMessageChunk } from 'ai'
import { AnswerChunks } from './answer-chunks.ts'

type UIPart = UIMessage['parts'][number]

/**
 * The shown conversation: each message, followed by the answer that it has. The id of an answer is its run's.
 * @param uiId the id by which the chat knows a message
 * @param hides runs whose answer is left out, because a stream will show it
 */
export function toUIMessages<M extends UIMessage>(
  view: SessionView,
  uiId = (message: string): string => message,
  hides = (_run: RunView): boolean => false,
): M[] {
  const messages: UIMessage[] = []
  for (const turn of view.turns) {
    messages.push(question(turn, uiId(turn.message.id)))
    const { run } = turn
    if (run !== undefined && run.status !== 'queued' && !hides(run)) messages.push(answer(view, run))
  }
  return messages as M[]
}

function question({ message }: TurnView, id: string): UIMessage {
  const { author } = message as Partial<MessageView>
  const metadata = author === undefined ? { time: message.time } : { time: message.time, author }
  return { id, role: 'user', metadata, parts: message.content.map(uiPart) }
}

function answer(view: SessionView, run: RunView): UIMessage {
  const { chunks } = new AnswerChunks(run.id, () => 'elsewhere').take(view)
  return messageOf(run.id, chunks)
}

function uiPart(part: Part): UIPart {
  if (part.type === 'text') return { type: 'text', text: part.text }
  const { mediaType, name, url, data } = part
  const file: FileUIPart = { type: 'file', mediaType, url: url ?? `data:${mediaType};base64,${data ?? ''}` }
  return name === undefined ? file : { ...file, filename: name }
}

/** The message that the AI SDK makes of a whole stream. */
function messageOf(id: string, chunks: readonly UIMessageChunk[]): UIMessage {
  const parts: Record<string, unknown>[] = []
  let metadata: object = {}
  const tool = (call: string): Record<string, unknown> => parts.findLast(({ toolCallId }) => toolCallId === call) ?? {}
  for (const chunk of chunks) {
    switch (chunk.type) {
      case 'start':
      case 'message-metadata':
      case 'finish':
        metadata = { ...metadata, ...(chunk.messageMetadata as object | undefined) }
        break
      case 'start-step':
        parts.push({ type: 'step-start' })
        break
      case 'text-start':
      case 'reasoning-start':
        parts.push({ type: chunk.type.slice(0, -6), text: '', state: 'streaming' })
        break
      case 'text-delta':
      case 'reasoning-delta':
        Object.assign(parts.at(-1) ?? {}, { text: `${parts.at(-1)?.text}${chunk.delta}` })
        break
      case 'text-end':
      case 'reasoning-end':
        Object.assign(parts.at(-1) ?? {}, { state: 'done' })
        break
      case 'tool-input-available':
      case 'tool-input-error': {
        const { toolCallId, toolName, input, providerExecuted, providerMetadata } = chunk
        const asked = providerMetadata === undefined ? {} : { callProviderMetadata: providerMetadata }
        const call = { type: 'dynamic-tool', toolName, toolCallId, input, providerExecuted, ...asked }
        if (chunk.type === 'tool-input-available') parts.push({ ...call, state: 'input-available' })
        else parts.push({ ...call, state: 'output-error', errorText: chunk.errorText })
        break
      }
      case 'tool-approval-request':
        Object.assign(tool(chunk.toolCallId), { state: 'approval-requested', approval: { id: chunk.approvalId } })
        break
      case 'tool-approval-response': {
        const { approvalId, approved, reason } = chunk
        const approval = { id: approvalId, approved, ...(reason === undefined ? {} : { reason }) }
        Object.assign(tool(approvalId), { state: 'approval-responded', approval })
        break
      }
      case 'tool-output-available':
        Object.assign(tool(chunk.toolCallId), { state: 'output-available', output: chunk.output })
        break
      case 'tool-output-error':
        Object.assign(tool(chunk.toolCallId), { state: 'output-error', errorText: chunk.errorText })
        break
      case 'tool-output-denied':
        Object.assign(tool(chunk.toolCallId), { state: 'output-denied' })
        break
      case 'source-url':
      case 'file':
      case 'steering-message':
        parts.push({ ...chunk })
        break
      default:
        if (chunk.type.startsWith('data-') && !('transient' in chunk)) parts.push({ ...chunk })
    }
  }
  return { id, role: 'assistant', metadata, parts: parts as unknown as UIPart[] }
}

/** @throws TypeError for a message without text and files */
export function contentOf({ parts }: UIMessage): Content {
  const content = parts.flatMap((part): Part[] => {
    if (part.type === 'text') return part.text === '' ? [] : [{ type: 'text', text: part.text }]
    return part.type === 'file' ? [filePart(part)] : []
  })
  const [first] = content
  if (first === undefined) throw new TypeError('The message has no text and no file.')
  return content.length === 1 && first.type === 'text' ? first.text : content
}

function filePart({ mediaType, filename, url }: FileUIPart): Part {
  const name = filename === undefined ? {} : { name: filename }
  const data = /^data:[^,]*;base64,(.*)$/s.exec(url)?.[1]
  return { type: 'file', mediaType, ...name, ...(data === undefined ? { url } : { data }) }
}

/**
 * The wanted messages, with the chat's own objects wherever they show the same.
 * @param keeps messages of the chat that stay even if they differ
 * @returns `current` itself if nothing differs
 */
export function reconcile<M extends UIMessage>(
  current: readonly M[],
  wanted: readonly M[],
  keeps: (message: M) => boolean = () => false,
): readonly M[] {
  const byId = new Map(current.map((message) => [message.id, message]))
  const merged = wanted.map((message) => {
    const own = byId.get(message.id)
    return own !== undefined && (keeps(own) || essence(own) === essence(message)) ? own : message
  })
  return merged.length === current.length && merged.every((message, at) => message === current[at]) ? current : merged
}

/** The part of a message that people see. */
function essence({ role, parts }: UIMessage): string {
  const seen = (parts as readonly Partial<Record<string, unknown>>[]).flatMap((part) => {
    if (part.type === 'step-start' || String(part.type).startsWith('data-parley-')) return []
    const { type, text, state = 'done', toolCallId, url, data } = part
    return [[type, text, state, toolCallId, url, data]]
  })
  return JSON.stringify([role, seen])
}
