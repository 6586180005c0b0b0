// The LMDB transcript store passes the contract of every transcript store.
import { transcriptStoreContract } from '../contracts/transcript-store.contract.ts'
import { LmdbHarness } from '../test/lmdb-harness.ts'

transcriptStoreContract('LMDB', () => LmdbHarness.open())
