// Input items: what a response was generated from, as `…/input_items` lists it: the inputs of all responses of its conversation, and
// the outputs before its own. Their ids name the response and the place in it, so any node finds them without stored state.
import { type ContextMessage, type MessageEvent, type Part, stringifyJson } from '@parley/protocol'
import { z } from 'zod'
import { wholeMessage } from '../../session/large-messages.ts'
import { pathTo } from '../../session/state/message-tree.ts'
import { HttpError } from '../http/http-error.ts'
import type { JobName } from '../jobs/job-id.ts'
import { asArguments } from './chat-chunks.ts'
import type { OpenAiPorts } from './openai-ports.ts'
import { fileMark } from './request-fields.ts'
import { type FoundResponse, withEarlier } from './response-lookup.ts'
import { encryptedContent, type Item, itemId, itemsOf, parseItemId, textPart } from './response-object.ts'

/** The parameters of OpenAI's API, with its defaults. */
export const InputItemsQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  order: z.enum(['asc', 'desc']).default('desc'),
  after: z.string().max(300).optional(),
})

/** The input or the output of one response. */
interface Group {
  readonly name: JobName
  readonly isInput: boolean
  load(): Promise<readonly Item[]>
}

/** One page of the list. @throws HttpError bad_request if `after` is not in the list; StorageError */
export async function listInputItems(
  ports: OpenAiPorts,
  response: FoundResponse,
  { limit, order, after }: z.infer<typeof InputItemsQuery>,
): Promise<object> {
  const groups = groupsOf(ports, await withEarlier(ports, response))
  const place = after === undefined ? undefined : parseItemId(after)
  let isSkipping = after !== undefined
  const items: Item[] = []
  for (const group of order === 'asc' ? groups : groups.reverse()) {
    if (isSkipping && (group.name.run !== place?.name.run || group.isInput !== place.isInput)) continue
    const loaded = await group.load()
    for (const item of order === 'asc' ? loaded : loaded.toReversed()) {
      if (isSkipping) isSkipping = item.id !== after
      else if (items.push(item) > limit) return pageOf(items.slice(0, limit), true)
    }
  }
  if (isSkipping) throw new HttpError('bad_request', 'Item not found.', { path: 'after' })
  return pageOf(items, false)
}

/** The items of the response's own input. @throws StorageError */
export async function inputOf(ports: OpenAiPorts, { name, found }: FoundResponse): Promise<readonly Item[]> {
  const message = found.state.messages.find(({ event }) => event.id === found.record.message)
  if (message === undefined) return []
  const [{ event }] = await wholeMessage(ports.stores, name.session, message)
  return itemsOfMessage(name, event)
}

/** In the order of the conversation. Messages that steered a run came over other transports, and are not listed. */
function groupsOf(ports: OpenAiPorts, { name: { session }, found: { state, record } }: FoundResponse): Group[] {
  const runs = new Map([...state.ended.values(), ...state.open, record].map((run) => [run.message, run]))
  return pathTo(state.messages, record.message).flatMap(({ event }) => {
    const run = runs.get(event.id)
    if (run === undefined) return []
    const name = { session, run: run.id }
    const found = { state, record: run }
    const input: Group = { name, isInput: true, load: () => inputOf(ports, { name, found }) }
    const output: Group = { name, isInput: false, load: async () => itemsOf(name, found) }
    return run.id === record.id ? [input] : [input, output]
  })
}

function pageOf(data: readonly Item[], hasMore: boolean): object {
  return {
    object: 'list',
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: hasMore,
  }
}

function itemsOfMessage(name: JobName, { content, context }: MessageEvent): readonly Item[] {
  const items: Item[] = []
  const add = (kind: 'text' | 'reasoning' | 'call' | 'result', item: object): void => {
    const id = itemId(kind, { name, isInput: true, index: items.length })
    items.push({ id, ...item, status: 'completed' } as Item)
  }
  const question: ContextMessage[] = content.length === 0 ? [] : [{ role: 'user', content }]
  for (const message of [...(context?.history ?? []), ...question]) {
    switch (message.role) {
      case 'system':
        add('text', { type: 'message', role: 'system', content: [{ type: 'input_text', text: message.text }] })
        break
      case 'user':
        add('text', { type: 'message', role: 'user', content: message.content.map(inputPart) })
        break
      case 'assistant':
        if (message.text !== undefined)
          add('text', { type: 'message', role: 'assistant', content: [textPart(message.text)] })
        for (const { call, name: tool, input, marks } of message.calls ?? []) {
          if (marks !== undefined) {
            const encrypted = encryptedContent(call, marks)
            add('reasoning', { type: 'reasoning', summary: [], content: [], encrypted_content: encrypted })
          }
          add('call', { type: 'function_call', call_id: call, name: tool, arguments: asArguments(input) })
        }
        break
      case 'tool':
        add('result', { type: 'function_call_output', call_id: message.call, output: outputOf(message) })
    }
  }
  return items
}

function inputPart(part: Part): object {
  if (part.type === 'text') return { type: 'input_text', text: part.text }
  const { mediaType, name, url, data, detail = 'auto' } = part
  const source = url ?? `data:${mediaType};base64,${data}`
  if (mediaType.startsWith('image/')) return { type: 'input_image', detail, image_url: source }
  const filename = name === undefined ? {} : { filename: name }
  return { type: 'input_file', ...filename, ...(url === undefined ? { file_data: source } : { file_url: url }) }
}

/** In the stored text, a mark stands for each file. */
function outputOf({ output, files }: Extract<ContextMessage, { role: 'tool' }>): unknown {
  const text = typeof output === 'string' ? output : stringifyJson(output)
  if (files === undefined) return text
  const parts: object[] = []
  let rest = text
  for (const [index, file] of files.entries()) {
    const [before = '', ...after] = rest.split(fileMark(index, file))
    if (before !== '') parts.push({ type: 'input_text', text: before })
    parts.push(inputPart(file))
    rest = after.join(fileMark(index, file))
  }
  return rest === '' ? parts : [...parts, { type: 'input_text', text: rest }]
}
