// openLmdbStores: opens all stores of one data folder: an LMDB environment, and next to it the journal of the log. Only
// one process at a time can open a folder.
import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Logger, pino } from 'pino'
import type { DeletionList } from '../ports/deletion-list.ts'
import type { RunQueue } from '../ports/run-queue.ts'
import type { SessionDirectory } from '../ports/session-directory.ts'
import type { Retention, SessionLog } from '../ports/session-log.ts'
import type { TranscriptStore } from '../ports/transcript-store.ts'
import type { UsageLedger } from '../ports/usage-ledger.ts'
import { lockDataFolder } from './data-folder-lock.ts'
import { watchFiles } from './data-folder-watch.ts'
import { LmdbDeletionList } from './deletion-list.ts'
import { LmdbEnvironment, TABLES } from './environment.ts'
import { openEpochs } from './epoch.ts'
import { Journal } from './journal/journal.ts'
import type { LmdbLogLimits } from './log-options.ts'
import { journalFolder, openState } from './log-state.ts'
import { LmdbRunQueue } from './run-queue.ts'
import { LmdbSessionDirectory } from './session-directory.ts'
import { LmdbLog } from './session-log.ts'
import { openTables } from './tables.ts'
import { LmdbTranscriptStore } from './transcript-store.ts'
import { LmdbUsageLedger } from './usage-ledger.ts'

export interface LmdbStoresOptions {
  /** The data folder; created if it is missing. */
  readonly path: string
  /** Default: 7 days and 4 GiB. */
  readonly retention?: Partial<Retention>
  /** Called after a sweep with the sessions that need compaction: retention cannot remove their entries before. */
  readonly onUncovered?: (sessions: ReadonlySet<string>) => void
  /** Unix milliseconds; default `Date.now`. */
  readonly now?: () => number
  readonly logger?: Logger
  readonly limits?: Partial<LmdbLogLimits>
  /** Bytes of one file of the journal; default 4 MiB. */
  readonly segmentBytes?: number
  /** Milliseconds for which `close` waits for handlers of runs; default 5,000. */
  readonly closeTimeoutMs?: number
  /** The stores refuse writes if fewer bytes are free in the file system; default 32 MiB. */
  readonly reserveBytes?: number
}

export interface LmdbStores {
  readonly log: SessionLog & Pick<LmdbLog, 'checkpoint' | 'probe'>
  readonly transcripts: TranscriptStore
  readonly runs: RunQueue
  readonly directory: SessionDirectory
  readonly deletions: DeletionList
  readonly usage: UsageLedger
  /**
   * Resolves when a write has neither succeeded nor failed for a minute, so that its outcome is unknown, or when the
   * folder was removed or replaced. The stores accept no more writes until the folder is opened again, most likely by a
   * new process.
   */
  readonly broken: Promise<Error>
  /** Has handlers hand over their runs, commits the queued appends, and releases the folder. Idempotent. */
  close(): Promise<void>
}

const RETENTION: Retention = {
  maxAgeMs: 7 * 24 * 60 * 60 * 1000,
  maxBytes: 4 * 1024 ** 3,
}

/**
 * @throws DataFolderInUse if another process has the folder open; Error if the folder is damaged or of another format;
 *   StorageError
 */
export async function openLmdbStores(options: LmdbStoresOptions): Promise<LmdbStores> {
  const logger = options.logger ?? pino({ enabled: false })
  mkdirSync(options.path, { recursive: true })
  const tablesFile = join(options.path, TABLES)
  const tablesBytes = statSync(tablesFile, { throwIfNoEntry: false })?.size ?? 0
  if (tablesBytes === 0 && Journal.exists(journalFolder(options.path))) {
    throw new Error(
      `${tablesFile} is missing or empty, although there is a journal. Restore the whole data folder from a backup`,
    )
  }
  let onBroken: (error: Error) => void = () => undefined
  const broken = new Promise<Error>((resolve) => {
    onBroken = resolve
  })
  const environment = new LmdbEnvironment({
    path: options.path,
    onBroken,
    ...(options.reserveBytes === undefined ? {} : { reserveBytes: options.reserveBytes }),
  })
  try {
    const tables = openTables(environment)
    const lock = await lockDataFolder(options.path, environment, tables.meta)
    const epochs = await openEpochs(environment, tables.meta)
    const { state, journal } = await openState(environment, tables, { ...options, onBroken })
    const transcripts = new LmdbTranscriptStore(environment, epochs)
    const log = new LmdbLog({
      environment,
      state,
      journal,
      epoch: epochs.current,
      covered: (session) => transcripts.covered(session),
      retention: { ...RETENTION, ...options.retention },
      now: options.now ?? Date.now,
      logger,
      ...(options.onUncovered === undefined ? {} : { onUncovered: options.onUncovered }),
      ...(options.limits === undefined ? {} : { limits: options.limits }),
    })
    const runs = new LmdbRunQueue({
      environment,
      logger,
      ...(options.closeTimeoutMs === undefined ? {} : { closeTimeoutMs: options.closeTimeoutMs }),
    })
    const directory = new LmdbSessionDirectory(environment)
    const deletions = new LmdbDeletionList(environment)
    const usage = new LmdbUsageLedger(environment)
    const files = [
      options.path,
      tablesFile,
      journalFolder(options.path),
      ...(lock.file === undefined ? [] : [lock.file]),
    ]
    const stopWatch = watchFiles(files, onBroken)
    let closing: Promise<void> | undefined
    const close = async (): Promise<void> => {
      stopWatch()
      await runs.close()
      await Promise.all([log.close(), transcripts.close(), directory.close()])
      await environment.close()
      await lock.release()
    }
    return {
      log,
      transcripts,
      runs,
      directory,
      deletions,
      usage,
      broken,
      close: () => {
        closing ??= close()
        return closing
      },
    }
  } catch (error) {
    await environment.close()
    throw error
  }
}
