// The tree of a session's messages: whatever order people branch in, a message ends one conversation, and readers agree on it.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ScriptedLog, STEP_KINDS, type Step } from '../test/scripted-log.ts'
import { compact } from '../transcript/compact.ts'
import { foldAll } from './apply-entry.ts'
import { parentAt, pathTo } from './message-tree.ts'
import { EMPTY_SESSION, type MessageState } from './session-state.ts'

/** Each message tells a parent by its place from the beginning, or tells none. */
const told = fc.array(fc.oneof(fc.constant(undefined), fc.constant(null), fc.nat(30)), { minLength: 1, maxLength: 25 })

function messagesOf(parents: readonly (number | null | undefined)[]): MessageState[] {
  return parents.map((parent, at) => {
    const stands = parent === undefined ? {} : { parent: parent === null || at === 0 ? null : `m${parent % at}` }
    const id = `m${at}`
    return {
      seq: at + 1,
      time: at,
      event: { type: 'message', id, role: 'user', author: 'a', content: [], policy: 'queue', run: `r${at}`, ...stands },
    }
  })
}

const ids = (path: readonly MessageState[]): string[] => path.map(({ event }) => event.id)

describe('the conversation that a message ends', () => {
  it('goes from parent to parent, each before its child in the log', () => {
    fc.assert(
      fc.property(told, (parents) => {
        const messages = messagesOf(parents)
        // What a child has more than its parent's conversation is itself.
        const known = new Map<string | null, string[]>([[null, []]])
        for (const { event } of messages) {
          const at = Number(event.id.slice(1))
          const parent = event.parent === undefined ? (at === 0 ? null : `m${at - 1}`) : event.parent
          known.set(event.id, [...(known.get(parent) ?? []), event.id])
          expect(ids(pathTo(messages, event.id))).toEqual(known.get(event.id))
        }
      }),
    )
  })

  it('is all of the log where nobody tells a parent', () => {
    const messages = messagesOf([undefined, undefined, undefined])
    expect(ids(pathTo(messages, 'm2'))).toEqual(['m0', 'm1', 'm2'])
    expect(ids(pathTo(messages, 'm1'))).toEqual(['m0', 'm1'])
  })

  it('begins where what is known begins', () => {
    const messages = messagesOf([undefined, undefined, 0, undefined]).slice(1)
    expect(ids(pathTo(messages, 'm3'))).toEqual(['m2', 'm3'])
    expect(parentAt(messages, 0)).toBeUndefined()
    expect(ids(pathTo(messages, 'm1'))).toEqual(['m1'])
    expect(ids(pathTo(messages, 'other'))).toEqual([])
  })

  it('ends, whatever a log says: one that names itself, or a later one, has no parent', () => {
    const [first, second] = messagesOf([undefined, undefined]) as [MessageState, MessageState]
    const own = { ...first, event: { ...first.event, parent: 'm0' } }
    const later = { ...first, event: { ...first.event, parent: 'm1' } }
    for (const begin of [own, later]) expect(ids(pathTo([begin, second], 'm1'))).toEqual(['m0', 'm1'])
  })

  it('is the same when the log was folded into a transcript, wherever that ends', () => {
    const steps = fc.array(
      fc.record({ kind: fc.constantFrom(...STEP_KINDS, 'branch', 'complete'), pick: fc.nat(50) }),
      {
        maxLength: 40,
      },
    ) as fc.Arbitrary<Step[]>
    fc.assert(
      fc.property(steps, fc.nat(60), (script, cut) => {
        const log = new ScriptedLog()
        for (const step of script) log.apply(step)
        const head = log.entries[cut]?.seq ?? 0
        const folded = compact([], log.read(0, head)).map(({ seq, time, json }) => ({
          seq,
          time,
          event: JSON.parse(json),
        }))
        const state = foldAll(foldAll(EMPTY_SESSION, folded), log.read(head, Number.POSITIVE_INFINITY))
        for (const { event } of log.state.messages) {
          expect(ids(pathTo(state.messages, event.id))).toEqual(ids(pathTo(log.state.messages, event.id)))
        }
      }),
    )
  })
})
