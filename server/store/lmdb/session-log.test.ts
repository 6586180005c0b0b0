// The LMDB log passes the contract of every session log.
import { sessionLogContract } from '../contracts/session-log.contract.ts'
import { LmdbHarness } from '../test/lmdb-harness.ts'

sessionLogContract('LMDB', (options = {}) => LmdbHarness.open(options))
