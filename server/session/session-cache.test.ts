// A session that cannot be opened is logged once for the operator, and reported to its users.
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

describe('a transcript that does not match its log', () => {
  it('is logged once for all waiting callers', async () => {
    const { log, transcripts } = harness
    await transcripts.save('s', { cursor: 'elsewhere.7', sealed: 0, entries: [], commands: [] }, 0)
    const lines: string[] = []
    const logger = pino({}, { write: (line: string) => void lines.push(line) })
    const sessions = new SessionCache({ log, transcripts }, { ...SESSION_CACHE_DEFAULTS, logger })
    const results = await Promise.allSettled([sessions.retain('s'), sessions.retain('s'), sessions.retain('t')])
    const lost = { status: 'rejected', reason: new CursorLost('foreign') }
    expect(results).toMatchObject([lost, lost, { status: 'fulfilled' }])
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: 50, session: 's', msg: 'cannot open session: its log and transcript do not match' },
    ])
    sessions.close()
  })
})
