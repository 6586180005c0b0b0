// The LMDB transcript store passes the contract of a transcript store.
import { LmdbHarness } from './test/lmdb-harness.ts'
import { transcriptStoreContract } from './transcript-store.contract.ts'

transcriptStoreContract('LMDB', () => LmdbHarness.open())
