// openLmdbStores: the log, the transcripts and the run queue of one data folder: an LMDB environment, and beside it the
// journal of the log. One process at a time may have a folder open.
import { mkdirSync } from 'node:fs'
import { type Logger, pino } from 'pino'
import type { DeletionList } from '../ports/deletion-list.ts'
import type { RunQueue } from '../ports/run-queue.ts'
import type { SessionDirectory } from '../ports/session-directory.ts'
import type { Retention, SessionLog } from '../ports/session-log.ts'
import type { TranscriptStore } from '../ports/transcript-store.ts'
import type { UsageLedger } from '../ports/usage-ledger.ts'
import { ownDataFolder } from './data-folder-lock.ts'
import { LmdbDeletionList } from './deletion-list.ts'
import { LmdbEnvironment } from './environment.ts'
import { openEpochs } from './epoch.ts'
import { openState } from './log-state.ts'
import { LmdbRunQueue } from './run-queue.ts'
import { LmdbSessionDirectory } from './session-directory.ts'
import { LmdbLog, type LmdbLogLimits } from './session-log.ts'
import { openTables } from './tables.ts'
import { LmdbTranscriptStore } from './transcript-store.ts'
import { LmdbUsageLedger } from './usage-ledger.ts'

export interface LmdbStoresOptions {
  /** The data folder; made when it is not there. */
  readonly path: string
  /** Default: 7 days and 4 GB. */
  readonly retention?: Partial<Retention>
  /** Sessions with entries past their time that no transcript covers: fold them, and the next sweep takes them. */
  readonly uncovered?: (sessions: ReadonlySet<string>) => void
  /** Unix milliseconds; default `Date.now`. */
  readonly now?: () => number
  readonly logger?: Logger
  readonly limits?: Partial<LmdbLogLimits>
  /** Bytes of one file of the journal; default 4 MB. */
  readonly segmentBytes?: number
  /** Milliseconds that `close` waits for handlers of runs; default 5,000. */
  readonly closeTimeoutMs?: number
  /** Bytes that must be free in the file system for anything to be taken; default 32 MB. */
  readonly reserveBytes?: number
}

export interface LmdbStores {
  readonly log: SessionLog & Pick<LmdbLog, 'settle'>
  readonly transcripts: TranscriptStore
  readonly runs: RunQueue
  readonly directory: SessionDirectory
  readonly deletions: DeletionList
  readonly usage: UsageLedger
  /**
   * Resolves when a write has neither succeeded nor failed for a minute. What became of it is not known: until the folder is
   * opened again nothing can be written, and most likely not by this process.
   */
  readonly broken: Promise<Error>
  /** Hands runs over, commits what waits, and gives the folder free. Idempotent. */
  close(): Promise<void>
}

const RETENTION: Retention = {
  maxAgeMs: 7 * 24 * 60 * 60 * 1000,
  maxBytes: 4 * 1024 ** 3,
}

/** @throws DataFolderInUse when another process has it open */
export async function openLmdbStores(options: LmdbStoresOptions): Promise<LmdbStores> {
  const logger = options.logger ?? pino({ enabled: false })
  mkdirSync(options.path, { recursive: true })
  let broke: (error: Error) => void = () => undefined
  const broken = new Promise<Error>((resolve) => {
    broke = resolve
  })
  const environment = new LmdbEnvironment({
    path: options.path,
    broken: broke,
    ...(options.reserveBytes === undefined ? {} : { reserveBytes: options.reserveBytes }),
  })
  try {
    const tables = openTables(environment)
    const ownership = await ownDataFolder(options.path, environment, tables.meta)
    const epochs = await openEpochs(environment, tables.meta)
    const { state, journal } = await openState(environment, tables, { ...options, broken: broke })
    const transcripts = new LmdbTranscriptStore(environment, epochs)
    const log = new LmdbLog({
      environment,
      state,
      journal,
      epoch: epochs.present,
      covered: (session) => transcripts.covered(session),
      retention: { ...RETENTION, ...options.retention },
      now: options.now ?? Date.now,
      logger,
      ...(options.uncovered === undefined ? {} : { uncovered: options.uncovered }),
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
    let closing: Promise<void> | undefined
    const close = async (): Promise<void> => {
      await runs.close()
      await Promise.all([log.close(), transcripts.close(), directory.close()])
      await environment.close()
      await ownership.release()
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
