// The message tree: each message ends one conversation, in whatever order people branch, and all readers agree on it.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ScriptedLog, STEP_KINDS, type Step } from '../test/scripted-log.ts'
import { compact } from '../transcript/compact.ts'
import { applyEntries, parseEntry } from './apply-entry.ts'
import { parentAt, pathTo } from './message-tree.ts'
import { EMPTY_SESSION, type MessageState } from './session-state.ts'

/** The parent of each message: an index, null for none, or undefined for the previous message. */
const parentIndexes = fc.array(fc.oneof(fc.constant(undefined), fc.constant(null), fc.nat(30)), {
  minLength: 1,
  maxLength: 25,
})

function messagesOf(parents: readonly (number | null | undefined)[]): MessageState[] {
  return parents.map((parent, at) => {
    const explicit = parent === undefined ? {} : { parent: parent === null || at === 0 ? null : `m${parent % at}` }
    const id = `m${at}`
    return {
      seq: at + 1,
      time: at,
      event: {
        type: 'message',
        id,
        role: 'user',
        author: 'a',
        content: [],
        policy: 'queue',
        run: `r${at}`,
        ...explicit,
      },
    }
  })
}

const ids = (path: readonly MessageState[]): string[] => path.map(({ event }) => event.id)

describe('the conversation of a message', () => {
  it('follows the parents, each of which precedes its child in the log', () => {
    fc.assert(
      fc.property(parentIndexes, (parents) => {
        const messages = messagesOf(parents)
        // A message adds itself to its parent's conversation.
        const expected = new Map<string | null, string[]>([[null, []]])
        for (const { event } of messages) {
          const at = Number(event.id.slice(1))
          const parent = event.parent === undefined ? (at === 0 ? null : `m${at - 1}`) : event.parent
          expected.set(event.id, [...(expected.get(parent) ?? []), event.id])
          expect(ids(pathTo(messages, event.id))).toEqual(expected.get(event.id))
        }
      }),
    )
  })

  it('is the whole log if no message has a parent', () => {
    const messages = messagesOf([undefined, undefined, undefined])
    expect(ids(pathTo(messages, 'm2'))).toEqual(['m0', 'm1', 'm2'])
    expect(ids(pathTo(messages, 'm1'))).toEqual(['m0', 'm1'])
  })

  it('starts at the first known message', () => {
    const messages = messagesOf([undefined, undefined, 0, undefined]).slice(1)
    expect(ids(pathTo(messages, 'm3'))).toEqual(['m2', 'm3'])
    expect(parentAt(messages, 0)).toBeUndefined()
    expect(ids(pathTo(messages, 'm1'))).toEqual(['m1'])
    expect(ids(pathTo(messages, 'other'))).toEqual([])
  })

  it('is finite even if a message names itself or a later message as its parent', () => {
    const [first, second] = messagesOf([undefined, undefined]) as [MessageState, MessageState]
    const own = { ...first, event: { ...first.event, parent: 'm0' } }
    const later = { ...first, event: { ...first.event, parent: 'm1' } }
    for (const start of [own, later]) expect(ids(pathTo([start, second], 'm1'))).toEqual(['m0', 'm1'])
  })

  it('is the same after compaction, wherever the transcript ends', () => {
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
        const compacted = compact([], log.read(0, head)).map(parseEntry)
        const state = applyEntries(applyEntries(EMPTY_SESSION, compacted), log.read(head, Number.POSITIVE_INFINITY))
        for (const { event } of log.state.messages) {
          expect(ids(pathTo(state.messages, event.id))).toEqual(ids(pathTo(log.state.messages, event.id)))
        }
      }),
    )
  })
})
