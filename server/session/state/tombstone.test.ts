// The fold of a session that was deleted: nothing before it is held, nothing after it counts.
import type { Event } from '@parley/protocol'
import { describe, expect, it } from 'vitest'
import { fold, foldAll } from './apply-entry.ts'
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
const gone: Event = { type: 'session.deleted', by: 'ann', command: 'd' }
const numbered = (events: readonly Event[]) => events.map((event, at) => ({ seq: at + 1, time: at, event }))

describe('a session that was deleted', () => {
  it('holds who did it and when, its open runs as over, and nothing of what was said', () => {
    const state = foldAll(EMPTY_SESSION, numbered([...before, gone]))
    expect(state).toMatchObject({ seq: 6, metaLast: 6, title: undefined, messages: [], open: [], commands: [] })
    expect(state.deleted).toEqual({ seq: 6, time: 5, by: 'ann', command: 'd', late: false })
    expect([state.members.all.size, state.tools.size]).toEqual([0, 0])
    expect(state.ended.get('r')).toMatchObject({ phase: 'ended', output: undefined, ended: { reason: 'cancelled' } })
  })

  it('knows of what came after it only that something did', () => {
    const late = [output(1), output(2), { ...message, id: 'm2' }, { ...gone, by: 'bob' }]
    const entries = numbered([...before, gone, ...late])
    const one = entries.reduce(fold, EMPTY_SESSION)
    expect(one).toMatchObject({ seq: 10, messages: [], deleted: { seq: 6, by: 'ann', late: true } })
  })

  it('is told by that entry alone', () => {
    const alone = fold(EMPTY_SESSION, { seq: 6, time: 5, event: gone })
    expect(alone).toMatchObject({ seq: 6, deleted: { by: 'ann', late: false } })
  })
})
