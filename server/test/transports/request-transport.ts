// Request–response as a door of the contract: the answer comes when the run is over, whole; asked again with its key, it
// comes again.
import type { RunResult } from '@parley/protocol'
import { type Ask, accepted, type Door, Reading } from './transport.ts'

export function requestTransport(): Door {
  return {
    name: 'request–response',
    finds: 'key',
    begin: async (node, ask) => ({ ask, reading: request(node, ask) }),
    resume: async (node, ask) => request(node, ask),
  }
}

function request(node: string, ask: Ask): Reading {
  const leave = new AbortController()
  const answer = fetch(`${node}/v1/sessions/${ask.session}/messages`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json', 'Idempotency-Key': ask.id },
    body: JSON.stringify({ content: ask.content }),
    signal: leave.signal,
  })
  // Whoever reads is told; nobody may, when the answer was hung up on.
  answer.catch(() => undefined)
  return new Reading(async function* () {
    const whole = (await (await accepted(await answer)).json()) as RunResult
    yield { kind: 'whole', whole }
  }, leave)
}
