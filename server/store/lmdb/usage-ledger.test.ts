// The LMDB usage ledger passes the contract of every usage ledger.
import { usageLedgerContract } from '../contracts/usage-ledger.contract.ts'
import { LmdbHarness } from '../test/lmdb-harness.ts'

usageLedgerContract('LMDB', () => LmdbHarness.open())
