// The LMDB usage ledger passes the contract of one.

import { usageLedgerContract } from '../contracts/usage-ledger.contract.ts'
import { LmdbHarness } from '../test/lmdb-harness.ts'

usageLedgerContract('LMDB', () => LmdbHarness.open())
