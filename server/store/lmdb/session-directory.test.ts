// The LMDB session directory and deletion list pass the contract of every store.
import { sessionDirectoryContract } from '../contracts/session-directory.contract.ts'
import { LmdbHarness } from '../test/lmdb-harness.ts'

sessionDirectoryContract('LMDB', () => LmdbHarness.open())
