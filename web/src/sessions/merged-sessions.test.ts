// The merged list of chats, and the texts for errors.
import { ParleyError } from '@parley/client'
import { titleOf } from '@parley/protocol/title'
import { describe, expect, it } from 'vitest'
import { delayNote, errorNote, tryAgain } from '../connection/error-note.ts'
import { mergeSessions } from './merged-sessions.ts'

describe('the merged list of chats', () => {
  it('contains each session once, the newest first, with the best known title', () => {
    const merged = mergeSessions(
      [
        { session: 'a', title: 'Named', role: 'owner', updatedAt: 5, createdAt: 1 },
        { session: 'b', role: 'viewer', updatedAt: 9, createdAt: 1 },
        { session: 'c', role: 'owner', updatedAt: 1, createdAt: 1 },
      ],
      [
        { id: 'a', title: 'first words', time: 20 },
        { id: 'b', title: 'first message', time: 2 },
        { id: 'only here', title: 'local', time: 10 },
      ],
    )
    expect(merged.map(({ id }) => id)).toEqual(['a', 'only here', 'b', 'c'])
    expect(merged.map(({ title }) => title)).toEqual(['Named', 'local', 'first message', 'Untitled chat'])
    expect(merged.map(({ role }) => role)).toEqual(['owner', undefined, 'viewer', 'owner'])
  })
})

describe('the title of a chat', () => {
  it('is truncated between two characters, also if white space makes it shorter afterwards', () => {
    expect(titleOf(`${'x '.repeat(30)}${' '.repeat(739)}😀`)).toBe('x '.repeat(30).trimEnd())
    expect(titleOf('🇨🇭'.repeat(30))).toBe(`${'🇨🇭'.repeat(19)}…`)
  })
})

describe('an error note', () => {
  it('says what happened and when to try again', () => {
    expect(errorNote(new ParleyError('rate_limited', 'x', true, 12_300))).toBe('Too many requests. Try again in 13 s.')
    expect(errorNote(new ParleyError('run_active', 'A run is active.'))).toBe('A run is active.')
    expect(errorNote(new TypeError('internal'))).toBe('Something went wrong.')
  })

  it('of a temporary error says when the client retries', () => {
    expect(delayNote('rate_limited', 5_000, 1_500)).toBe('Too many requests. Retrying in 4 s.')
    expect(delayNote('contended', 5_000, 6_000)).toBe('Not delivered. Retrying now.')
  })

  it('rounds the time to the unit that fits', () => {
    expect([1, 119_000, 121_000, 7_300_000, 200_000_000].map(tryAgain)).toEqual([
      'Try again in 1 s.',
      'Try again in 119 s.',
      'Try again in 3 minutes.',
      'Try again in 3 hours.',
      'Try again in 3 days.',
    ])
  })
})
