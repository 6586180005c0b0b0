// What a view shows of a message until it is in the log.
import { expect, it } from 'vitest'
import { sendFrame } from './send-frame.ts'
import { newSession } from './session-view.ts'

it('a pending message names its agent', () => {
  const { frame, pending } = sendFrame(newSession('s'), 'm', 'Hi', { agent: 'poet' }, 7)
  expect(frame).toMatchObject({ id: 'm', agent: 'poet' })
  expect(pending).toEqual({
    id: 'm',
    content: [{ type: 'text', text: 'Hi' }],
    text: 'Hi',
    policy: 'queue',
    agent: 'poet',
    time: 7,
  })
  expect(sendFrame(newSession('s'), 'm', 'Hi', {}, 7).pending).not.toHaveProperty('agent')
})
