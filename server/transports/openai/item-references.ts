// Replaces references to items of earlier responses by those items. An item's id contains the response's, so any node
// finds it without stored state. The AI SDK's default OpenAI provider sends each item of an answer back as a reference.
import { HttpError } from '../http/http-error.ts'
import type { HttpRequest } from '../http/http-request.ts'
import { inputOf } from './input-items.ts'
import type { OpenAiPorts } from './openai-ports.ts'
import { lookUpResponse } from './response-lookup.ts'
import { type Item, type ItemName, itemsOf, parseItemId, responseId } from './response-object.ts'
import { asContentItem, type ContentItem, type ResponseRequest } from './response-request.ts'

/** @throws HttpError bad_request if an item does not exist, is not complete, or is in a session that the user may not read */
export async function resolveItems(
  ports: OpenAiPorts,
  request: HttpRequest,
  input: ResponseRequest['input'],
): Promise<string | readonly ContentItem[]> {
  if (typeof input === 'string') return input
  /** Their inputs and outputs. */
  const known = new Map<string, readonly Item[]>()
  const items: ContentItem[] = []
  for (const [at, item] of input.entries()) {
    if (item.type !== 'item_reference') {
      items.push(item)
      continue
    }
    const path = `input.${at}.id`
    const name = parseItemId(item.id)
    if (name === undefined) throw notFound(path)
    const key = `${responseId(name.name)} ${name.isInput}`
    const all = known.get(key) ?? (await itemsFrom(ports, request, name))
    known.set(key, all)
    const found = all[name.index]
    if (found?.id !== item.id) throw notFound(path)
    if ('status' in found && found.status === 'in_progress') {
      throw new HttpError('bad_request', 'The item is not complete yet.', { path })
    }
    const content = asContentItem(found)
    if (content === undefined) throw new HttpError('bad_request', 'The item cannot be sent again.', { path })
    items.push(content)
  }
  return items
}

async function itemsFrom(ports: OpenAiPorts, request: HttpRequest, item: ItemName): Promise<readonly Item[]> {
  const response = await lookUpResponse(ports, request, responseId(item.name))
  if (response === undefined) return []
  return item.isInput === true ? inputOf(ports, response) : itemsOf(response.name, response.found)
}

function notFound(path: string): HttpError {
  return new HttpError('bad_request', 'Item not found.', { path })
}
