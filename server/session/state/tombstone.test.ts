// A deleted session: the state drops everything before the deletion and ignores everything after it.
import type { Event } from '@parley/protocol'
import { describe, expect, it } from 'vitest'
import { applyEntries, applyEntry } from './apply-entry.ts'
import { EMPTY_SESSION } from './session-state.ts'

const message: Event = { type: 'message', id: 'm', role: 'user', author: 'a', content: [], policy: 'queue', run: 'r' }
const output = (index: number): Event => ({ type: 'run.output', run: 'r', index, kind: 'text', text: 'secret' })

const before: readonly Event[] = [
  { type: 'member.joined', user: 'ann', role: 'owner' },
  { type: 'session.updated', title: 'secret', tools: [{ name: 'secret' }] },
  message,
  { type: 'run.started', run: 'r', epoch: 1, mode: 'new', model: 'secret', message: 'm', next: 0 },
  output(0),
]
const deletion: Event = { type: 'session.deleted', by: 'ann', command: 'd' }
const numbered = (events: readonly Event[]) => events.map((event, at) => ({ seq: at + 1, time: at, event }))

describe('a deleted session', () => {
  it('keeps who deleted it and when, ends its open runs, and drops its content', () => {
    const state = applyEntries(EMPTY_SESSION, numbered([...before, deletion]))
    expect(state).toMatchObject({ seq: 6, lastMetaSeq: 6, title: undefined, messages: [], open: [], commands: [] })
    expect(state.deleted).toEqual({ seq: 6, time: 5, by: 'ann', command: 'd', hasLateEntries: false })
    expect([state.members.all.size, state.tools.size]).toEqual([0, 0])
    expect(state.ended.get('r')).toMatchObject({ phase: 'ended', output: undefined, ended: { reason: 'cancelled' } })
  })

  it('only remembers that later entries exist', () => {
    const late = [output(1), output(2), { ...message, id: 'm2' }, { ...deletion, by: 'bob' }]
    const entries = numbered([...before, deletion, ...late])
    const state = entries.reduce((before, entry) => applyEntry(before, entry), EMPTY_SESSION)
    expect(state).toMatchObject({ seq: 10, messages: [], deleted: { seq: 6, by: 'ann', hasLateEntries: true } })
  })

  it('needs no entry other than the deletion', () => {
    const alone = applyEntry(EMPTY_SESSION, { seq: 6, time: 5, event: deletion })
    expect(alone).toMatchObject({ seq: 6, deleted: { by: 'ann', hasLateEntries: false } })
  })
})
