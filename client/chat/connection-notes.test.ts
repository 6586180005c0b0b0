// What the terminal says of the connection: little.
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
  it('say nothing while all is well', () => {
    expect(said({ status: 'connecting', opens: 0 }, {}, {})).toEqual([])
  })

  it('say once that it is lost, and that it is there again', () => {
    const away = { status: 'waiting', attempt: 1 } as const
    expect(said({}, away, { status: 'connecting' }, { ...away, attempt: 2 }, {})).toEqual([
      'connection lost; trying again',
      'connected again',
    ])
  })

  it('say which way it takes when that is not the best one, and when it is again', () => {
    const polls: TransportState = { door: 'long-poll', why: 'buffered', moves: 1 }
    const notes = said({ status: 'waiting', opens: 0 }, { transport: polls }, { transport: polls }, {})
    expect(notes).toEqual([
      'connected over long polls: something on the way holds answers back',
      'connected over a WebSocket',
    ])
  })
})
