// The one list of sessions, of what the server lists and what the browser remembers; and what refusals are told as.
import { ParleyError } from '@parley/client'
import { describe, expect, it } from 'vitest'
import { delayNote, refusalNote, tryAgain } from '../connection/refusal-note.ts'
import { shownSessions } from './merged-sessions.ts'

describe('the list of sessions', () => {
  it('has each once, the newest first, with the best title that is known', () => {
    const shown = shownSessions(
      [
        { session: 'a', title: 'Named', role: 'owner', updatedAt: 5, createdAt: 1 },
        { session: 'b', role: 'viewer', updatedAt: 9, createdAt: 1 },
        { session: 'c', role: 'owner', updatedAt: 1, createdAt: 1 },
      ],
      [
        { id: 'a', title: 'first words', time: 20 },
        { id: 'b', title: 'what was said', time: 2 },
        { id: 'only here', title: 'local', time: 10 },
      ],
    )
    expect(shown.map(({ id }) => id)).toEqual(['a', 'only here', 'b', 'c'])
    expect(shown.map(({ title }) => title)).toEqual(['Named', 'local', 'what was said', expect.stringContaining('1')])
    expect(shown.map(({ role }) => role)).toEqual(['owner', undefined, 'viewer', 'owner'])
  })
})

describe('a refusal', () => {
  it('is told in words, with the time after which it is worth trying', () => {
    expect(refusalNote(new ParleyError('rate_limited', 'x', true, 12_300))).toBe(
      'That was too much at once. Try again in 13 s.',
    )
    expect(refusalNote(new ParleyError('run_active', 'A run is active.'))).toBe('A run is active.')
    expect(refusalNote(new TypeError('internal'))).toBe('It did not work.')
  })

  it('that is for now only says when it goes out again', () => {
    expect(delayNote('rate_limited', 5_000, 1_500)).toBe('That was too much at once. It is sent again in 4 s.')
    expect(delayNote('contended', 5_000, 6_000)).toBe('The server could not take it yet. It is sent again now.')
  })

  it('tells times as people say them', () => {
    expect([1, 119_000, 121_000, 7_300_000, 200_000_000].map(tryAgain)).toEqual([
      'Try again in 1 s.',
      'Try again in 119 s.',
      'Try again in 3 minutes.',
      'Try again in 3 hours.',
      'Try again in 3 days.',
    ])
  })
})
