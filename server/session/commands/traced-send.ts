// tracedSend: the span of a person's message, from the command to its receipt. Its context goes into the log with the message, so
// that whoever drives the run goes on with it.
import { parseTraceparent, ReplyError, type Send } from '@parley/protocol'
import type { Tracer } from '../../trace/tracer.ts'
import type { Caller, Receipt } from './caller.ts'

/** @param work given the span to store; undefined where nothing is recorded. Resolves, or rejects, as that does */
export async function tracedSend(
  tracer: Tracer | undefined,
  command: Send,
  caller: Caller,
  work: (trace: string | undefined) => Promise<Receipt>,
): Promise<Receipt> {
  if (tracer === undefined) return work(undefined)
  const span = tracer.start('send', {
    kind: 'server',
    parent: parseTraceparent(command.trace) === undefined ? caller.trace : command.trace,
    attributes: {
      'gen_ai.conversation.id': command.session,
      'parley.message.id': command.id,
      'parley.policy': command.policy ?? 'queue',
      'parley.door': caller.door,
      'parley.variant': caller.variant,
    },
  })
  try {
    const receipt = await work(span.traceparent)
    // One that came before is not stored again: the run stays with the trace of its first coming.
    span.set({ 'parley.run.id': receipt.run, 'parley.duplicate': receipt.duplicate })
    return receipt
  } catch (error) {
    span.failed(error instanceof ReplyError ? error.code : '_OTHER')
    throw error
  } finally {
    span.end()
  }
}
