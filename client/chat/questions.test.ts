// Questions of running tools at a terminal: field by field, with the values that the form allows.
import type { Event, FormSchema } from '@parley/protocol'
import { expect, it } from 'vitest'
import { applyEntry, openQuestion, type Session, type SessionView } from '../index.ts'
import { newSession } from '../session/session-view.ts'
import { Questions } from './questions.ts'

const run = 'r'
const call = 'c'
const FORM: FormSchema = {
  type: 'object',
  properties: {
    size: { type: 'string', enum: ['S', 'M'] },
    extras: { type: 'array', items: { enum: ['a', 'b'] } },
    count: { type: 'integer', minimum: 1, default: 1 },
    sure: { type: 'boolean' },
  },
  required: ['size'],
}
const called: Event = {
  type: 'tool.called',
  run,
  call,
  name: 'order',
  input: {},
  where: 'server',
  approval: false,
  attempt: 1,
  until: 0,
  step: 0,
}
const claimed: Event = { type: 'tool.claimed', run, call, connection: 'n', until: 0 }
const asked = (question: string, schema = FORM): Event => ({
  type: 'tool.asked',
  run,
  call,
  question,
  message: 'Well?',
  schema,
  until: 0,
})
const answered = (question: string): Event => ({
  type: 'tool.answered',
  run,
  call,
  question,
  action: 'cancel',
  by: 'bob',
})

function viewOf(...events: Event[]): SessionView {
  const message: Event = { type: 'message', id: 'm', role: 'user', author: 'ada', content: [], policy: 'queue', run }
  const started: Event = { type: 'run.started', run, epoch: 1, mode: 'new', model: 'demo', message: 'm', next: 0 }
  return [message, started, called, claimed, ...events].reduce(
    (view, event, at) => applyEntry(view, { cursor: `e.${at + 1}`, time: at, event }),
    newSession('s'),
  )
}

function start() {
  const sent: unknown[][] = []
  const answer = async (...given: unknown[]): Promise<void> => void sent.push(given)
  return { questions: new Questions({ answer } as unknown as Session), sent }
}

it('let a run wait until one is answered, by anybody', () => {
  const view = viewOf(asked('q'))
  expect(view.runs.get(run)?.status).toBe('waiting')
  expect(view.calls.get(call)?.status).toBe('claimed')
  expect(openQuestion(view.calls.get(call) as never)?.id).toBe('q')
  const after = viewOf(asked('q'), answered('q'))
  expect(after.runs.get(run)?.status).toBe('running')
  expect(after.calls.get(call)?.questions).toMatchObject([{ id: 'q', answer: { action: 'cancel', by: 'bob' } }])
})

it('are asked field by field, and repeated if an answer does not match', async () => {
  const { questions, sent } = start()
  const view = viewOf(asked('q'))
  expect(questions.next(view)).toEqual(['order asks: Well? (/decline to refuse)', 'size (S, M):'])
  expect(questions.next(view)).toEqual([])
  expect(questions.line('')).toEqual(['size is required', 'size (S, M):'])
  expect(questions.line('XL')).toEqual(['size must be one of its choices', 'size (S, M):'])
  expect(questions.line('M')).toEqual(['extras (some of a, b; optional):'])
  expect(questions.line('a, b')).toEqual(['count (default 1; optional):'])
  expect(questions.line('0')).toEqual(['count must be at least 1', 'count (default 1; optional):'])
  expect(questions.line('')).toEqual(['sure (y/n; optional):'])
  await questions.line('y')
  expect(sent).toEqual([[call, 'q', 'accept', { size: 'M', extras: ['a', 'b'], count: 1, sure: true }]])
  expect(questions.isAsking).toBe(false)
  expect(questions.next(view)).toEqual([])
})

it('are refused, confirmed, or answered by somebody else meanwhile', async () => {
  const { questions, sent } = start()
  questions.next(viewOf(asked('q1')))
  await questions.line('/decline')
  const none: FormSchema = { type: 'object', properties: {} }
  expect(questions.next(viewOf(asked('q1'), answered('q1'), asked('q2', none)))).toEqual([
    'order asks: Well? (/decline to refuse)',
    'Confirm? (y/n)',
  ])
  await questions.line('y')
  expect(sent).toEqual([
    [call, 'q1', 'decline', undefined],
    [call, 'q2', 'accept', {}],
  ])
  questions.next(viewOf(asked('q3')))
  questions.next(viewOf(asked('q3'), answered('q3')))
  expect([questions.isAsking, questions.line('S')]).toEqual([false, []])
})
