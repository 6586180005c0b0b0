// Driver of request–response: the answer is the complete result at the end of the run. A repeated request with the same
// key gets it again.
import type { RunResult } from '@parley/protocol'
import { accepted, type MessageRequest, Reading, type TransportDriver } from './transport-driver.ts'

export function requestTransport(): TransportDriver {
  return {
    name: 'request–response',
    finds: 'key',
    begin: async (node, message) => ({ message, reading: request(node, message) }),
    resume: async (node, message) => request(node, message),
  }
}

function request(node: string, message: MessageRequest): Reading {
  const disconnect = new AbortController()
  const answer = fetch(`${node}/v1/sessions/${message.session}/messages`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json', 'Idempotency-Key': message.id },
    body: JSON.stringify({ content: message.content }),
    signal: disconnect.signal,
  })
  // The reading reports the error; without a reader it must not become an unhandled rejection.
  answer.catch(() => undefined)
  return new Reading(async function* () {
    const result = (await (await accepted(await answer)).json()) as RunResult
    yield { kind: 'result', result }
  }, disconnect)
}
