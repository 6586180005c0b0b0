// Writes a session with many messages and answers into the log of a stopped server.
import type { Event } from '@parley/protocol'
import { openLmdbStores } from '../../server/store/lmdb/stores.ts'

/** @param data the server's data directory @param count of messages */
export async function writeLongSession(data: string, session: string, count: number): Promise<void> {
  const stores = await openLmdbStores({ path: data })
  try {
    const appends = Array.from({ length: count }, (_, at) => {
      const [message, run] = [`msg_${at}`, `run_${at}`]
      return [
        stores.log.append(session, `in.${message}`, questionOf(message, run, at), 0),
        stores.log.append(session, `run.${run}`, answerOf(message, run, at), 0),
      ]
    })
    await Promise.all(appends.flat())
  } finally {
    await stores.close()
  }
}

function questionOf(id: string, run: string, at: number): Event {
  const content = [{ type: 'text' as const, text: `Question ${at}` }]
  return { type: 'message', id, role: 'user', author: 'anonymous', content, policy: 'queue', run }
}

/** Short and long answers, and some with code, so that their heights are unknown before they are rendered. */
function answerOf(message: string, run: string, at: number): Event {
  const lines = Array.from({ length: 1 + (at % 7) }, (_, line) => `Line ${line} of answer ${at}, with **words** in it.`)
  const program = at % 5 === 0 ? `\n\n\`\`\`js\nconst answer = ${at}\n\`\`\`` : ''
  const text = lines.join('\n\n') + program
  const output = [{ type: 'text' as const, text, index: 0, lengths: [text.length] }]
  const usage = { inputTokens: 1, outputTokens: 1 }
  return { type: 'run.ended', run, epoch: 1, model: 'demo', message, reason: 'completed', usage, next: 1, output }
}
