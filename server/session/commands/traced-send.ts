// tracedSend: the span of a message, from the command to its receipt. The log stores the span's context with the
// message, so that the run's driver continues the trace.
import { parseTraceparent, ReplyError, type Send } from '@parley/protocol'
import type { Tracer } from '../../trace/tracer.ts'
import type { Caller, Receipt } from './caller.ts'

/** @param work receives the context to store; undefined without a tracer. @returns the result of `work` */
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
    // A duplicate is not stored again, so its run keeps the trace of the first command.
    span.set({ 'parley.run.id': receipt.run, 'parley.duplicate': receipt.duplicate })
    return receipt
  } catch (error) {
    span.failed(error instanceof ReplyError ? error.code : '_OTHER')
    throw error
  } finally {
    span.end()
  }
}
