// A session that cannot be opened is told to whoever runs the server, once, and not to its user alone.
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CursorLost } from '../store/ports/errors.ts'
import { LmdbHarness } from '../store/test/lmdb-harness.ts'
import { SESSION_CACHE_DEFAULTS, SessionCache } from './session-cache.ts'

let harness: LmdbHarness
beforeEach(async () => {
  harness = await LmdbHarness.open()
})
afterEach(() => harness.close())

describe('a transcript that does not fit its log', () => {
  it('is told of by one line for all who wait for the session', async () => {
    const { log, transcripts } = harness
    await transcripts.save('s', { cursor: 'elsewhere.7', sealed: 0, entries: [], commands: [] }, 0)
    const lines: string[] = []
    const logger = pino({}, { write: (line: string) => void lines.push(line) })
    const sessions = new SessionCache({ log, transcripts }, { ...SESSION_CACHE_DEFAULTS, logger })
    const asked = await Promise.allSettled([sessions.retain('s'), sessions.retain('s'), sessions.retain('t')])
    const lost = { status: 'rejected', reason: new CursorLost('foreign') }
    expect(asked).toMatchObject([lost, lost, { status: 'fulfilled' }])
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: 50, session: 's', msg: 'a session cannot be opened: its log and its transcript do not fit' },
    ])
    sessions.close()
  })
})
