// openJetStreamStores: opens all stores of one prefix on NATS JetStream, over one connection, for one of any number of
// nodes. A start that fails throws an error that says what to do.
import { type Logger, pino } from 'pino'
import type { AppendYield } from '../ports/append-yield.ts'
import type { DeletionList } from '../ports/deletion-list.ts'
import type { NodeNews } from '../ports/node-news.ts'
import type { NodeVerdicts } from '../ports/node-verdicts.ts'
import type { RunNotices } from '../ports/run-notices.ts'
import type { RunQueue } from '../ports/run-queue.ts'
import type { ScatterGather } from '../ports/scatter-gather.ts'
import type { SessionDirectory } from '../ports/session-directory.ts'
import type { Retention } from '../ports/session-log.ts'
import type { TranscriptStore } from '../ports/transcript-store.ts'
import type { UsageLedger } from '../ports/usage-ledger.ts'
import { JetStreamConnection, type JetStreamConnectionOptions } from './connection.ts'
import { JetStreamDeletionList } from './directory/deletion-list.ts'
import { JetStreamNodeNews } from './directory/node-news.ts'
import { JetStreamScatterGather } from './directory/scatter-gather.ts'
import { JetStreamSessionDirectory } from './directory/session-directory.ts'
import { JetStreamLog, type JetStreamLogOptions } from './log/session-log.ts'
import { Outage } from './maintenance/outage.ts'
import { JetStreamAppendYield } from './queue/append-yield.ts'
import { JetStreamRunNotices } from './queue/run-notices.ts'
import { JetStreamRunQueue } from './queue/run-queue.ts'
import { type JetStreamStreamsOptions, openStreams } from './streams.ts'
import { NodeWatch } from './takeover/node-watch.ts'
import { JetStreamTranscriptStore } from './transcript-store.ts'
import { JetStreamUsageLedger } from './usage-ledger.ts'

export interface JetStreamStoresOptions {
  readonly connection: Omit<JetStreamConnectionOptions, 'logger'>
  readonly streams?: JetStreamStreamsOptions
  /** Default: 7 days and 4 GB. */
  readonly retention?: Partial<Retention>
  /** Called with sessions whose expired entries no transcript covers: compact them, and the next sweep trims them. */
  readonly onUncovered?: (sessions: ReadonlySet<string>) => void
  /** Unix milliseconds; default `Date.now`. */
  readonly now?: () => number
  readonly logger?: Logger
  /** Bytes of recent entries to cache in memory. */
  readonly cacheBytes?: number
  readonly log?: Partial<Pick<JetStreamLogOptions, 'graceMs' | 'sweepIntervalMs' | 'cache' | 'limits' | 'followLimits'>>
  /** Milliseconds that `close` waits for handlers; default 5,000. */
  readonly closeTimeoutMs?: number
  /** The node's name for people. */
  readonly node?: string
  /** Milliseconds of silence after which a node that does not answer is lost; default 2,000. */
  readonly nodeTimeoutMs?: number
}

export interface JetStreamStores {
  readonly log: JetStreamLog
  readonly transcripts: TranscriptStore
  readonly runs: RunQueue
  readonly directory: SessionDirectory
  readonly deletions: DeletionList
  readonly appendYield: AppendYield
  readonly scatterGather: ScatterGather
  readonly presenceNews: NodeNews
  readonly cancelNews: NodeNews
  readonly usage: UsageLedger
  readonly runNotices: RunNotices
  readonly verdicts: NodeVerdicts
  readonly connection: JetStreamConnection
  readonly outage: Pick<Outage, 'onChange'>
  /** Hands runs over, waits for requests in progress, and closes the connection. Idempotent. */
  close(): Promise<void>
}

const RETENTION: Retention = {
  maxAgeMs: 7 * 24 * 60 * 60 * 1000,
  maxBytes: 4 * 1024 ** 3,
}

/** @throws JetStreamStartError */
export async function openJetStreamStores(options: JetStreamStoresOptions): Promise<JetStreamStores> {
  const logger = options.logger ?? pino({ enabled: false })
  const connection = await JetStreamConnection.open({ ...options.connection, logger })
  try {
    const streams = await openStreams(connection, options.streams)
    const transcripts = new JetStreamTranscriptStore({ connection, streams, logger })
    const log = new JetStreamLog({
      connection,
      streams,
      covered: (session) => transcripts.covered(session, streams.epoch),
      retention: { ...RETENTION, ...options.retention },
      now: options.now ?? Date.now,
      logger,
      ...(options.onUncovered === undefined ? {} : { onUncovered: options.onUncovered }),
      ...(options.cacheBytes === undefined ? {} : { cache: { bytes: options.cacheBytes } }),
      ...options.log,
    })
    const watch = new NodeWatch({
      connection,
      streams,
      logger,
      ...(options.node === undefined ? {} : { name: options.node }),
      ...(options.nodeTimeoutMs === undefined ? {} : { timeoutMs: options.nodeTimeoutMs }),
    })
    const runs = new JetStreamRunQueue({
      connection,
      streams,
      logger,
      watch,
      ...(options.closeTimeoutMs === undefined ? {} : { closeTimeoutMs: options.closeTimeoutMs }),
    })
    const directory = new JetStreamSessionDirectory({ connection, streams, logger })
    const deletions = new JetStreamDeletionList(connection, streams)
    const appendYield = new JetStreamAppendYield(connection, streams.prefix)
    const scatterGather = new JetStreamScatterGather(connection, streams.prefix, logger)
    const presenceNews = new JetStreamNodeNews(connection, streams.prefix, 'presence')
    const cancelNews = new JetStreamNodeNews(connection, streams.prefix, 'cancels')
    const usage = new JetStreamUsageLedger(connection, streams)
    const runNotices = new JetStreamRunNotices(connection, streams.prefix)
    const outage = new Outage({ health: log.health, caughtUp: () => log.state.state === 'live' })
    let closing: Promise<void> | undefined
    const close = async (): Promise<void> => {
      outage.close()
      appendYield.close()
      scatterGather.close()
      presenceNews.close()
      cancelNews.close()
      await runs.close()
      watch.close()
      await Promise.all([log.close(), transcripts.close(), directory.close()])
      deletions.close()
      usage.close()
      runNotices.close()
      await connection.close()
    }
    return {
      log,
      transcripts,
      runs,
      directory,
      deletions,
      appendYield,
      scatterGather,
      presenceNews,
      cancelNews,
      usage,
      runNotices,
      verdicts: watch,
      connection,
      outage,
      close: () => {
        closing ??= close()
        return closing
      },
    }
  } catch (error) {
    await connection.close()
    throw error
  }
}
