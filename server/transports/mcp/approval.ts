// The approval of a tool call as an elicitation of MCP: a form that asks the user of the client. Pure.
import type { ToolDecide } from '@parley/protocol'
import type { CallState } from '../../session/state/call-state.ts'
import { isObject } from './rpc.ts'

/** Characters of the input that the question shows. */
const INPUT_CHARS = 2_000

/** The parameters of `elicitation/create`. */
export function approvalForm({ name, input }: Pick<CallState, 'name' | 'input'>) {
  const text = JSON.stringify(input)
  const shown = text.length > INPUT_CHARS ? `${text.slice(0, INPUT_CHARS)}…` : text
  return {
    mode: 'form',
    message: `The agent wants to run the tool ${name} with this input: ${shown}`,
    requestedSchema: {
      type: 'object',
      properties: {
        approve: { type: 'boolean', title: 'Approve' },
        reason: { type: 'string', title: 'Reason (sent to the model)', maxLength: 1_000 },
      },
      required: ['approve'],
    },
  }
}

/** Elicitations by the ids of their calls. */
export function questionsOf(calls: readonly Pick<CallState, 'id' | 'name' | 'input'>[]) {
  return Object.fromEntries(
    calls.map((each) => [each.id, { method: 'elicitation/create', params: approvalForm(each) }]),
  )
}

/**
 * What an ElicitResult decides. A dismissed question denies the call, because nobody would answer it.
 * @returns undefined if the answer is malformed
 */
export function decisionOf(answer: unknown): Pick<ToolDecide, 'decision' | 'reason'> | undefined {
  if (!isObject(answer)) return undefined
  const { action, content } = answer
  if (action === 'decline' || action === 'cancel') return { decision: 'deny' }
  if (action !== 'accept' || !isObject(content) || typeof content.approve !== 'boolean') return undefined
  const { approve, reason } = content
  const words = typeof reason === 'string' && reason !== '' ? { reason: reason.slice(0, 1_000) } : {}
  return { decision: approve ? 'approve' : 'deny', ...words }
}
