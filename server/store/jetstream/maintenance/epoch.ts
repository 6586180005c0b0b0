// Gives the log on JetStream a new epoch, as it must have once its streams were restored, or lost entries by a loss of
// power. The epoch is in the metadata of the sessions' streams, those of the past in the metadata of the first. No node
// may run meanwhile: it would go on under the epoch that it read when it started.
import { jetstreamManager } from '@nats-io/jetstream'
import { type Renewal, writePast } from '../../ports/epoch.ts'
import { JetStreamConnection, type JetStreamConnectionOptions } from '../connection.ts'
import { type JetStreamStreamsOptions, openStreams, randomEpoch } from '../streams.ts'
import { epochsOfTranscripts, passTranscripts } from './epoch-repair.ts'

/** @throws JetStreamStartError, StorageError */
export async function renewStreamsEpoch(
  options: JetStreamConnectionOptions,
  wanted: JetStreamStreamsOptions = {},
): Promise<Renewal> {
  const connection = await JetStreamConnection.open(options)
  try {
    const opened = await openStreams(connection, wanted, 'keep')
    const { partitions } = opened
    // Of a log that is gone, its transcripts are what is left, and are right.
    const told = await epochsOfTranscripts(connection.nats, opened)
    const past = new Set([...opened.epochs.past, ...told])
    past.delete(opened.epoch)
    const streams = { ...opened, epochs: { present: opened.epoch, past } }
    const { epochs } = streams
    await passTranscripts(connection.nats, streams, options.logger)
    const manager = await jetstreamManager(connection.nats, { checkAPI: false })
    // The past is told first: whoever breaks off here has it done by the next try.
    let more: Record<string, string> = { parley_past_epochs: writePast([...epochs.past, epochs.present]) }
    for (const { stream } of partitions) {
      const { config } = await manager.streams.info(stream)
      await manager.streams.update(stream, { metadata: { ...config.metadata, parley_epoch: randomEpoch(), ...more } })
      more = {}
    }
    return { before: epochs.present, after: (await openStreams(connection, wanted)).epoch }
  } finally {
    await connection.close()
  }
}
