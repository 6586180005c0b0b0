// Tests what the terminal reports about the connection.
import { describe, expect, it } from 'vitest'
import type { ConnectionState, TransportState } from '../index.ts'
import { ConnectionNotes } from './connection-notes.ts'

const BEST: TransportState = { door: 'websocket', moves: 0 }

function said(...states: readonly Partial<ConnectionState>[]): readonly string[] {
  const notes: string[] = []
  const connection = new ConnectionNotes((text) => notes.push(text))
  for (const state of states) {
    connection.update({ status: 'open', attempt: 0, opens: 1, resumes: 0, transport: BEST, ...state })
  }
  return notes
}

describe('the notes about the connection', () => {
  it('are silent while everything works', () => {
    expect(said({ status: 'connecting', opens: 0 }, {}, {})).toEqual([])
  })

  it('report a loss once, and the reconnect', () => {
    const away = { status: 'waiting', attempt: 1 } as const
    expect(said({}, away, { status: 'connecting' }, { ...away, attempt: 2 }, {})).toEqual([
      'connection lost, reconnecting',
      'reconnected',
    ])
  })

  it('report a fallback to another transport, and the return to the best one', () => {
    const polls: TransportState = { door: 'long-poll', why: 'buffered', moves: 1 }
    const notes = said({ status: 'waiting', opens: 0 }, { transport: polls }, { transport: polls }, {})
    expect(notes).toEqual(['connected over long polling: a proxy seems to buffer answers', 'connected over WebSocket'])
  })
})
