// LmdbUsageLedger: the usage ledger of a data folder. Only one process uses the folder, so there are no updates of
// others to follow.
import type { Subscription } from '../ports/session-log.ts'
import type { Counter, Tally, UsageLedger } from '../ports/usage-ledger.ts'
import type { LmdbEnvironment, Table } from './environment.ts'
import { MAX_NAME } from './tables.ts'

/** Rows that one commit removes. */
const BATCH = 1_000

export class LmdbUsageLedger implements UsageLedger {
  readonly #environment: LmdbEnvironment
  readonly #totals: Table<[number, number, string, string], number>

  constructor(environment: LmdbEnvironment) {
    this.#environment = environment
    this.#totals = environment.values('usage')
  }

  put(tallies: readonly Tally[]): Promise<void> {
    return this.#environment.write(() => {
      for (const { windowMs, index, account, writer, total } of tallies) {
        this.#totals.put([windowMs, index, account, writer], total)
      }
    })
  }

  async load({ windowMs, index, account }: Counter): Promise<readonly Tally[]> {
    this.#environment.refresh()
    const rows = this.#totals.range([windowMs, index, account, ''], [windowMs, index, account, MAX_NAME])
    return Array.from(rows, ({ key: [, , , writer], value: total }) => ({ windowMs, index, account, writer, total }))
  }

  follow(): Subscription {
    return { close: () => undefined }
  }

  async forget(windowMs: number, before: number): Promise<void> {
    for (;;) {
      this.#environment.refresh()
      const rows = this.#totals.range([windowMs, 0, '', ''], [windowMs, before, '', ''], { limit: BATCH })
      const keys = Array.from(rows, ({ key }) => key)
      if (keys.length === 0) return
      await this.#environment.write(() => {
        for (const key of keys) this.#totals.remove(key)
      }, true)
    }
  }
}
