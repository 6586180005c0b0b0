// endRun with a session whose state changes between its steps, as other callers change it. Regression: a run that asked another
// agent while somebody else ended it kept the loop going without a pause, and the process answered nothing more.
import type { Event } from '@parley/protocol'
import { expect, it } from 'vitest'
import type { SessionLog } from '../../store/ports/session-log.ts'
import type { SessionReplica } from '../session-replica.ts'
import { applyEntries } from '../state/apply-entry.ts'
import { EMPTY_SESSION, type SessionState } from '../state/session-state.ts'
import { endRun } from './end-run.ts'

const usage = { inputTokens: 0, outputTokens: 0 }
const begin: readonly Event[] = [
  {
    type: 'message',
    id: 'm',
    role: 'user',
    author: 'ada',
    content: [{ type: 'text', text: 'Go.' }],
    policy: 'queue',
    run: 'lead',
  },
  { type: 'run.started', run: 'lead', epoch: 1, model: 'm', message: 'm', mode: 'new', next: 0 },
]
const asks: Event = {
  type: 'tool.called',
  run: 'lead',
  call: 'c1',
  name: 'ask_a',
  input: { message: 'c1' },
  where: 'server',
  approval: false,
  attempt: 1,
  until: 0,
  step: 0,
  epoch: 1,
  child: { run: 'child', agent: 'a' },
}
const ended = (run: string): Event => ({ type: 'run.ended', run, reason: 'cancelled', by: 'ada', usage, next: 0 })

function stateOf(...events: readonly Event[]): SessionState {
  const entries = events.map((event, at) => ({ seq: at + 1, time: at, event }))
  return applyEntries(EMPTY_SESSION, entries)
}

it('returns if the run ends elsewhere just after it asked another agent', async () => {
  const [running, asked, over] = [
    stateOf(...begin),
    stateOf(...begin, asks),
    stateOf(...begin, asks, ended('child'), ended('lead')),
  ]
  expect(
    [running, asked, over].map(({ children }) => children.filter(({ phase }) => phase !== 'ended').length),
  ).toEqual([0, 1, 0])
  // What `endRun` sees, look by look; later looks see the end.
  const looks = [running, asked, running]
  let count = 0
  const session = {
    get state() {
      count += 1
      if (count > 100) throw new Error('looks at the session for ever')
      return looks.shift() ?? over
    },
    assertNotDeleted: () => undefined,
    whileEnding: (_: string, work: (contended: () => void) => unknown) => work(() => undefined),
    reached: async () => undefined,
  } as unknown as SessionReplica
  const log = { append: async () => expect.fail('nothing is left to end') } as unknown as SessionLog
  expect(await endRun(log, session, 'lead', { reason: 'cancelled', by: 'ada' })).toBeUndefined()
  expect(looks).toEqual([])
})
