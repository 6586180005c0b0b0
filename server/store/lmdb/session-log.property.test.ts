// The LMDB log agrees with a model of it over random histories of appends, background work, stops and crashes.
import { sessionLogProperty } from '../contracts/session-log.property.ts'
import { LmdbHarness } from '../test/lmdb-harness.ts'

// So small that commits are split, and checkpoints run, all the time.
const limits = { groupEntries: 3, groupBytes: 4000, journalBytes: 2000, journalAgeMs: 5 }

sessionLogProperty('The LMDB log', (retention) => LmdbHarness.open({ retention, limits }), 60)
