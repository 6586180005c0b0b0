// The LMDB run queue passes the contract of a run queue.
import { runQueueContract } from '../contracts/run-queue.contract.ts'
import { LmdbHarness } from '../test/lmdb-harness.ts'

runQueueContract('LMDB', () => LmdbHarness.open())
