// Tests which agent a line of the chat in the terminal means.
import type { MeAnswer } from '@parley/protocol'
import { expect, it } from 'vitest'
import { ChatAgents } from './chat-agents.ts'

it('completes the names of agents', async () => {
  const agents = new ChatAgents(
    async () => ({ offers: { agents: [{ name: 'poet' }, { name: 'planner' }] } }) as MeAnswer,
    undefined,
  )
  expect(agents.complete('@p')).toEqual([[], '@p'])
  await agents.known
  expect(agents.complete('@')).toEqual([['@poet ', '@planner '], '@'])
  expect(agents.complete('@po')).toEqual([['@poet '], '@po'])
  expect(agents.complete('/agent pl')).toEqual([['/agent planner '], '/agent pl'])
  for (const line of ['', 'poet', 'Ask @po', '@poet Write', '/stop po'])
    expect(agents.complete(line)).toEqual([[], line])
})
