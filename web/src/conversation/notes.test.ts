// The texts for runs, tool calls and decisions.
import { answerOf, type CallView, type MessageView, type RunView } from '@parley/client'
import { describe, expect, it } from 'vitest'
import { callNote, decisionNote, expiryNote, formatText, formatValue } from './call-note.ts'
import { childNote, noticeTexts, runNote } from './run-note.ts'

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

  it('says what an unfinished run is doing', () => {
    expect(text({ status: 'queued' })).toBe('Queued')
    expect(text({})).toBe('Thinking')
    expect(text({ next: 3 })).toBe('Answering')
    expect(text({ supersededBy: 'msg_2' })).toBe('Interrupted')
    expect(text({ status: 'waiting' }, [{ ...call, status: 'deciding' }])).toBe('Waiting for approval')
    expect(text({ status: 'waiting' }, [call])).toBe('Waiting for a device with local_time')
    expect(text({ status: 'waiting' }, [{ ...call, status: 'claimed' }])).toBe('Waiting for local_time')
  })

  it('says for whom an answer waits that has asked other agents', () => {
    const parts = [{ type: 'tool', call: 'call_1', name: 'ask_a' }] as const
    const asks = (agent: string): CallView => ({ ...call, where: 'server', child: { run: 'run_2', agent } })
    expect(text({ parts, next: 1 }, [asks('a'), asks('b'), asks('a')])).toBe('Waiting for a and b')
    expect(text({ parts, next: 1 }, [{ ...asks('a'), status: 'completed' }])).toBe('Thinking')
  })

  it('says of a child run what it does or needs', () => {
    const note = (change?: Partial<RunView>, asks?: 'approval' | 'answer') =>
      childNote(change && { ...run, ...change }, asks, 'ada', (user) => user)
    expect(note()).toEqual({ tone: 'busy', text: 'Starting' })
    expect(note({ next: 3 })).toEqual({ tone: 'busy', text: 'Answering' })
    expect(note({ status: 'waiting' }, 'approval')).toEqual({ tone: 'ask', text: 'Needs approval' })
    expect(note({ next: 3 }, 'answer')).toEqual({ tone: 'ask', text: 'Asks a question' })
    expect(note({ status: 'cancelled', by: 'bob' })).toEqual({ tone: 'plain', text: 'Stopped by bob' })
    const error = { code: 'provider_timeout' as const, message: 'The model timed out.' }
    expect(note({ status: 'failed', error })).toEqual({ tone: 'failed', text: 'Failed' })
  })

  it('says how a run ended', () => {
    const usage = { inputTokens: 5, outputTokens: 1_234 }
    expect(text({ status: 'completed', usage })).toBe('demo · 1,234 tokens')
    expect(text({ status: 'completed', epoch: 2 })).toBe('demo · resumed on another server')
    expect(text({ status: 'completed', usage, cut: true })).toBe('Stopped at the limit of 1,234 tokens')
    expect(text({ status: 'completed', cut: true })).toBe('Stopped at the token limit')
    expect(text({ status: 'cancelled', by: 'ada' })).toBe('Stopped')
    expect(text({ status: 'cancelled', by: 'bob' })).toBe('Stopped by bob')
    expect(text({ status: 'superseded' })).toBe('Interrupted by the next message')
    const error = { code: 'provider_timeout' as const, message: 'The model timed out.' }
    expect(text({ status: 'failed', error })).toBe('The model timed out. (provider_timeout)')
  })
})

describe("a run's notices", () => {
  it('say what the model did not get, and skip what this page does not know', () => {
    const notices = [
      { code: 'history_omitted' as const, count: 12 },
      { code: 'file_omitted' as const, mediaType: 'application/zip', count: 1 },
      { code: 'call_adapted' as const, count: 1 },
      { code: 'tool_omitted' as const, tool: '1x' },
      { code: 'tools_omitted' as const, count: 12 },
      { code: 'option_ignored' as const, option: 'seed' },
      { code: 'from_the_future' as 'option_ignored' },
    ]
    expect(noticeTexts({ ...run, notices })).toEqual([
      '12 earlier turns were not sent: this chat is longer than the model can read.',
      '1 file (application/zip) was not sent: the model’s provider did not accept it.',
      '1 earlier tool call was sent in another form.',
      'The model cannot use the tool 1x, because of its name.',
      '12 tools were not offered to the model: there are too many.',
      'The model does not support the option seed.',
    ])
    expect(noticeTexts(run)).toEqual([])
  })
})

describe("a call's note", () => {
  it('says where the call runs', () => {
    const claim = { connection: 'con_1', until: 0 }
    expect(callNote({ ...call, status: 'claimed', claim }, 'con_1').text).toBe('Running in this tab')
    expect(callNote({ ...call, status: 'claimed', claim }, 'con_2').text).toBe('Running on another device')
    expect(callNote({ ...call, where: 'server' }, 'con_1').text).toBe('Running on the server')
    expect(callNote(call, 'con_1').text).toBe('Waiting for a device')
    expect(callNote({ ...call, attempt: 2 }, 'con_1').text).toBe('Retrying on another device')
  })

  it('names the decision, its author and its reason', () => {
    expect(decisionNote(call, 'ada')).toBeUndefined()
    expect(decisionNote({ ...call, decision: { decision: 'approve', by: 'ada' } }, 'ada')).toBe('Approved by you')
    const decision = { decision: 'deny' as const, by: 'bob', reason: 'not now' }
    expect(decisionNote({ ...call, decision }, 'ada')).toBe('Denied by bob: not now')
    expect(callNote({ ...call, status: 'failed', decision, error: 'denied' }, undefined).text).toBe('Denied')
  })

  it('names the time that remains for a decision', () => {
    expect(expiryNote(90_000, 0)).toBe('Expires in 1:30')
    expect(expiryNote(61_000, 0)).toBe('Expires in 1:01')
    expect(expiryNote(7_500_000, 0)).toBe('Expires in 2 h 5 min')
    expect(expiryNote(0, 1)).toBe('Expires now')
  })

  it('shows short values on one line, and truncates long ones', () => {
    expect(formatValue({ a: 1 })).toBe('{"a":1}')
    expect(formatValue(undefined)).toBe('No value')
    expect(formatValue({ a: 'x'.repeat(60) })).toContain('\n  "a"')
    expect(formatValue('x'.repeat(9_000))).toContain('1,002 more characters')
  })

  it('shows long texts of others in part, and no long run of combining marks', () => {
    const marks = `a${'\u0301'.repeat(64_000)}`
    const decision = { decision: 'deny' as const, by: 'bob', reason: marks }
    const error = { code: 'provider_error' as const, message: marks }
    const notices = [{ code: 'provider_warning' as const, message: marks }]
    const texts = [
      formatText(marks),
      decisionNote({ ...call, decision }, 'ada') ?? '',
      runNote({ ...run, status: 'failed', error }, [], 'ada').text,
      ...noticeTexts({ ...run, notices }),
    ]
    expect(texts.filter((text) => text.length > 9_000 || /\p{M}{61}/u.test(text))).toEqual([])
    expect(texts).toHaveLength(4)
  })

  it('shows no value that is nested so deeply that the stack would overflow', () => {
    const deep = JSON.parse(`${'['.repeat(20_000)}${']'.repeat(20_000)}`) as unknown
    expect(formatValue(deep)).toBe('(nested too deeply to display)')
    expect(formatValue([[['a']]])).toBe('[[["a"]]]')
  })
})

describe('the answer to a message', () => {
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

  it('is the run that the message started', () => {
    expect(answer({ ...run, message: 'msg_2' })).toBe('run_1')
  })

  it('does not exist for a message that steers another message’s run', () => {
    expect(answer(run)).toBeUndefined()
  })

  it('is a separate run for a steering message that arrived too late', () => {
    expect(answer(run, { ...run, id: 'steer_msg_2', message: 'msg_2' })).toBe('steer_msg_2')
  })
})
