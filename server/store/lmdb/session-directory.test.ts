// The LMDB session directory passes the contract of one.
import { sessionDirectoryContract } from '../contracts/session-directory.contract.ts'
import { LmdbHarness } from '../test/lmdb-harness.ts'

sessionDirectoryContract('LMDB', () => LmdbHarness.open())
