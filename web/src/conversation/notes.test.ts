// The words that the page has for runs, calls and decisions.
import type { CallView, MessageView, RunView } from '@parley/client'
import { describe, expect, it } from 'vitest'
import { answerOf } from './answer-of.ts'
import { callNote, decisionNote, expiryNote, shownValue } from './call-note.ts'
import { runNote } from './run-note.ts'

const run: RunView = {
  id: 'run_1',
  message: 'msg_1',
  status: 'running',
  epoch: 1,
  model: 'demo',
  parts: [],
  text: '',
  next: 0,
  supersededBy: undefined,
  steered: [],
}

const call: CallView = {
  id: 'call_1',
  run: 'run_1',
  name: 'local_time',
  input: {},
  where: 'client',
  approval: false,
  status: 'offered',
  attempt: 1,
  step: 0,
  until: 0,
}

describe("a run's note", () => {
  const text = (change: Partial<RunView>, calls: readonly CallView[] = []): string =>
    runNote({ ...run, ...change }, calls, 'ada').text

  it('says what is to come', () => {
    expect(text({ status: 'queued' })).toBe('Waits for its turn')
    expect(text({})).toBe('Thinking')
    expect(text({ next: 3 })).toBe('Answering')
    expect(text({ supersededBy: 'msg_2' })).toBe('Interrupted')
    expect(text({ status: 'waiting' }, [{ ...call, status: 'deciding' }])).toBe('Waits for a decision')
    expect(text({ status: 'waiting' }, [call])).toBe('Waits for a device that offers local_time')
    expect(text({ status: 'waiting' }, [{ ...call, status: 'claimed' }])).toBe('Waits for local_time')
  })

  it('says how it ended', () => {
    const usage = { inputTokens: 5, outputTokens: 1_234 }
    expect(text({ status: 'completed', usage })).toBe('demo · 1,234 tokens')
    expect(text({ status: 'completed', epoch: 2 })).toBe('demo · taken over by another owner')
    expect(text({ status: 'cancelled', by: 'ada' })).toBe('Stopped')
    expect(text({ status: 'cancelled', by: 'bob' })).toBe('Stopped by bob')
    expect(text({ status: 'superseded' })).toBe('Interrupted by the next message')
    const error = { code: 'provider_timeout' as const, message: 'It was silent.' }
    expect(text({ status: 'failed', error })).toBe('It was silent. (provider_timeout)')
  })
})

describe("a call's note", () => {
  it('says who runs it', () => {
    const claim = { connection: 'con_1', until: 0 }
    expect(callNote({ ...call, status: 'claimed', claim }, 'con_1').text).toBe('Runs in this page')
    expect(callNote({ ...call, status: 'claimed', claim }, 'con_2').text).toBe('Runs on another device')
    expect(callNote({ ...call, where: 'server' }, 'con_1').text).toBe('Runs on the server')
    expect(callNote({ ...call, attempt: 2 }, 'con_1').text).toBe('On offer again')
  })

  it('says what was decided, by whom and why', () => {
    expect(decisionNote(call, 'ada')).toBeUndefined()
    expect(decisionNote({ ...call, decision: { decision: 'approve', by: 'ada' } }, 'ada')).toBe('Approved by you')
    const decision = { decision: 'deny' as const, by: 'bob', reason: 'not now' }
    expect(decisionNote({ ...call, decision }, 'ada')).toBe('Denied by bob: not now')
    expect(callNote({ ...call, status: 'failed', decision, error: 'denied' }, undefined).text).toBe('Denied')
  })

  it('says how long a decision may take', () => {
    expect(expiryNote(90_000, 0)).toBe('Expires in 1:30')
    expect(expiryNote(61_000, 0)).toBe('Expires in 1:01')
    expect(expiryNote(7_500_000, 0)).toBe('Expires in 2 h 5 min')
    expect(expiryNote(0, 1)).toBe('Expires now')
  })

  it('shows values on one line where they fit, and cuts what is very long', () => {
    expect(shownValue({ a: 1 })).toBe('{"a":1}')
    expect(shownValue(undefined)).toBe('nothing')
    expect(shownValue({ a: 'x'.repeat(60) })).toContain('\n  "a"')
    const cut = shownValue('x'.repeat(9_000))
    expect(cut).toContain('1,002 more characters')
  })
})

describe('an answer', () => {
  const message: MessageView = {
    id: 'msg_2',
    author: 'ada',
    content: [],
    text: '',
    time: 0,
    policy: 'steer',
    run: 'run_1',
    parent: 'msg_1',
  }
  const answer = (...runs: readonly RunView[]): string | undefined =>
    answerOf({ runs: new Map(runs.map((each) => [each.id, each])) as never }, message)?.id

  it('is the run that the message began', () => {
    expect(answer({ ...run, message: 'msg_2' })).toBe('run_1')
  })

  it('is none for a message that steers the run of another one', () => {
    expect(answer(run)).toBeUndefined()
  })

  it('is a run of its own for a steering message that came too late', () => {
    expect(answer(run, { ...run, id: 'steer_msg_2', message: 'msg_2' })).toBe('steer_msg_2')
  })
})
