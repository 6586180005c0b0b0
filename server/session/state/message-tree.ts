// MessageTree: the messages of a session form a tree, because each may name its predecessor (`parent`). A conversation
// is the path to one message. The log stays linear, and entries never move. Pure.
import type { MessageState } from './session-state.ts'

export type Parent = string | null | undefined

/**
 * The parent of a message. Without `parent`, a message follows the previous message of the log.
 * @returns null if the message starts a conversation; undefined if its parent may exist but is not in `messages`
 */
export function parentAt(messages: readonly MessageState[], at: number): Parent {
  const parent = messages[at]?.event.parent
  return parent === undefined ? messages[at - 1]?.event.id : parent
}

/**
 * The conversation that ends with a message, oldest message first. It starts at a message without a parent, or at the
 * first message whose parent is not in `messages`, because older messages may not be in memory.
 * @param messages in the order of the log
 */
export function pathTo(messages: readonly MessageState[], id: string): readonly MessageState[] {
  const path: MessageState[] = []
  let wanted: Parent = id
  for (let at = messages.length - 1; at >= 0 && typeof wanted === 'string'; at -= 1) {
    const message = messages[at]
    if (message === undefined || message.event.id !== wanted) continue
    path.push(message)
    // A parent precedes its child in the log, so one backward pass finds all of them.
    wanted = parentAt(messages, at)
  }
  return path.reverse()
}
