// Branches: the messages of a session form a tree, because each may name the one after whose answer it stands (`parent`).
// A conversation is the path to one of them; the log stays one line, and nothing in it moves. Pure.
import type { MessageState } from './session-state.ts'

/** What a message that tells no parent means by that: the one before it in the log. */
export type Parent = string | null | undefined

/** @returns null where a conversation begins with it, undefined where what comes before it is not among the messages */
export function parentAt(messages: readonly MessageState[], at: number): Parent {
  const told = messages[at]?.event.parent
  return told === undefined ? messages[at - 1]?.event.id : told
}

/**
 * The conversation that a message ends, oldest first. It begins at a message without a parent, or at the first whose
 * parent is not among the messages: what is older may not be in memory.
 * @param messages in the order of the log
 */
export function pathTo(messages: readonly MessageState[], id: string): readonly MessageState[] {
  const path: MessageState[] = []
  let wanted: Parent = id
  for (let at = messages.length - 1; at >= 0 && typeof wanted === 'string'; at -= 1) {
    const message = messages[at]
    if (message === undefined || message.event.id !== wanted) continue
    path.push(message)
    // A parent stands before it in the log, so one look from the end to the beginning finds all of them.
    wanted = parentAt(messages, at)
  }
  return path.reverse()
}
