import { sessionLogContract } from './session-log.contract.ts'
import { LmdbHarness } from './test/lmdb-harness.ts'

sessionLogContract('LMDB', (options = {}) => LmdbHarness.open(options))
