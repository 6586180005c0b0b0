// The LMDB run queue passes the contract of every run queue.
import { runQueueContract } from '../contracts/run-queue.contract.ts'
import { LmdbHarness } from '../test/lmdb-harness.ts'

runQueueContract('LMDB', () => LmdbHarness.open())
