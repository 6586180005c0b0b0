// Gives the log on JetStream a new epoch, which it needs after its streams were restored or lost entries in a power
// loss. The epoch is in the metadata of the session streams, past epochs in the metadata of the first one. No node may
// run meanwhile, because it would continue with the epoch that it read at its start.
import { jetstreamManager } from '@nats-io/jetstream'
import { type EpochRenewal, formatPastEpochs } from '../../ports/epoch.ts'
import { JetStreamConnection, type JetStreamConnectionOptions } from '../connection.ts'
import { type JetStreamStreamsOptions, openStreams, randomEpoch } from '../streams.ts'
import { epochsOfTranscripts, repairLostEntries } from './epoch-repair.ts'

/** @throws JetStreamStartError, StorageError */
export async function renewStreamsEpoch(
  options: JetStreamConnectionOptions,
  wanted: JetStreamStreamsOptions = {},
): Promise<EpochRenewal> {
  const connection = await JetStreamConnection.open(options)
  try {
    const opened = await openStreams(connection, wanted, 'keep')
    const { partitions } = opened
    // If the log is gone, only its transcripts remain, and they are valid.
    const named = await epochsOfTranscripts(connection.nats, opened)
    const past = new Set([...opened.epochs.past, ...named])
    past.delete(opened.epoch)
    const streams = { ...opened, epochs: { current: opened.epoch, past } }
    const { epochs } = streams
    await repairLostEntries(connection.nats, streams, options.logger)
    const manager = await jetstreamManager(connection.nats, { checkAPI: false })
    // The past epochs are written first, so that the next attempt completes an interrupted one.
    let extra: Record<string, string> = { parley_past_epochs: formatPastEpochs([...epochs.past, epochs.current]) }
    for (const { stream } of partitions) {
      const { config } = await manager.streams.info(stream)
      await manager.streams.update(stream, { metadata: { ...config.metadata, parley_epoch: randomEpoch(), ...extra } })
      extra = {}
    }
    return { before: epochs.current, after: (await openStreams(connection, wanted)).epoch }
  } finally {
    await connection.close()
  }
}
