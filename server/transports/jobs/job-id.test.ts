// Job ids: every run of every session has exactly one, and it can be parsed back.
import { ID_MAX_LENGTH, makeId } from '@parley/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatJobId, JOB_ID_MAX_LENGTH, parseJobId } from './job-id.ts'

const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,128}$/)

describe('a job id', () => {
  it('consists of the ids of the run and the session', () => {
    expect(formatJobId({ run: 'run_1', session: 'my-session' })).toBe('run_1-my-session')
    expect(formatJobId({ run: 'steer_a-b', session: 's' })).toBe('-9-steer_a-b-s')
  })

  it('can be parsed back to any run and session', () => {
    fc.assert(
      fc.property(id, id, (run, session) => {
        const text = formatJobId({ run, session })
        expect(text.length).toBeLessThanOrEqual(JOB_ID_MAX_LENGTH)
        expect(parseJobId(text)).toEqual({ run, session })
      }),
    )
  })

  it('is the only text that parses to its run and session', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^-?[0-9]{0,3}-?[A-Za-z0-9_-]{0,40}$/), (text) => {
        const name = parseJobId(text)
        if (name !== undefined) expect(formatJobId(name)).toBe(text)
      }),
    )
  })

  it('stays short for run ids that the server makes', () => {
    expect(formatJobId({ run: makeId('run'), session: 's'.repeat(ID_MAX_LENGTH) })).toHaveLength(158)
  })

  it.each([
    '',
    '-',
    'run',
    'run-',
    '-s',
    '-3-abc-s',
    '-3-a-b-',
    '-03-a-b-s',
    '-4-a-b-s',
    'a b-s',
    'r-a/b',
    'x'.repeat(300),
  ])('is not %j', (text) => {
    expect(parseJobId(text)).toBeUndefined()
  })
})
