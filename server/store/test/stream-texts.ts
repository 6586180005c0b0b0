// Searches all messages in the streams of a prefix for a text.
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'

/** @returns the subjects of the messages whose subject or payload contains the text */
export async function messagesWith(url: string, prefix: string, text: string): Promise<readonly string[]> {
  const connection = await connect({ servers: [url] })
  try {
    const manager = await jetstreamManager(connection)
    const found: string[] = []
    for await (const { config, state } of manager.streams.list()) {
      if (!config.name.startsWith(prefix.toUpperCase()) || state.messages === 0) continue
      for (let seq = state.first_seq; seq <= state.last_seq; seq += 1) {
        const message = await manager.streams.getMessage(config.name, { seq })
        if (message !== null && `${message.subject} ${message.string()}`.includes(text)) found.push(message.subject)
      }
    }
    return found
  } finally {
    await connection.close()
  }
}
