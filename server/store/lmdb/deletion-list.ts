// LmdbDeletionList: the deletion list of a data folder, a table of the LMDB environment.
import type { Deletion, DeletionList, Stage } from '../ports/deletion-list.ts'
import type { LmdbEnvironment, Table } from './environment.ts'
import { MAX_NUMBER } from './tables.ts'

export class LmdbDeletionList implements DeletionList {
  readonly #environment: LmdbEnvironment
  readonly #table: Table<[Stage, number, string], 1>

  constructor(environment: LmdbEnvironment) {
    this.#environment = environment
    this.#table = environment.values('deletions')
  }

  put({ session, at }: Deletion, stage: Stage): Promise<void> {
    return this.#environment.write(() => this.#table.put([stage, at, session], 1), true)
  }

  remove({ session, at }: Deletion, stage: Stage): Promise<void> {
    return this.#environment.write(() => this.#table.remove([stage, at, session]), true)
  }

  async list(stage: Stage, limit: number): Promise<readonly Deletion[]> {
    this.#environment.refresh()
    const rows = this.#table.range([stage, 0, ''], [stage, MAX_NUMBER, ''], { limit })
    return Array.from(rows, ({ key: [, at, session] }) => ({ session, at }))
  }
}
