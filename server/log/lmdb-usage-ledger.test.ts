// The LMDB usage ledger passes the contract of one.
import { LmdbHarness } from './test/lmdb-harness.ts'
import { usageLedgerContract } from './usage-ledger.contract.ts'

usageLedgerContract('LMDB', () => LmdbHarness.open())
