// Opens LMDB stores in a temporary folder, for the contract suites and the LMDB tests. A crash opens a copy of the
// files, taken before the old stores close.
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { type LmdbStores, type LmdbStoresOptions, openLmdbStores } from '../lmdb/stores.ts'

type Options = Omit<LmdbStoresOptions, 'path' | 'now'>

export class LmdbHarness {
  readonly #root: string
  readonly #options: Options
  readonly #clock: { now: number }
  #stores: LmdbStores
  #path: string
  #folders = 1

  static async open(options: Options = {}): Promise<LmdbHarness> {
    const root = mkdtempSync(join(tmpdir(), 'parley-log-'))
    const clock = { now: 1_700_000_000_000 }
    const path = join(root, 'data-0')
    return new LmdbHarness(root, path, options, clock, await openAt(path, options, clock))
  }

  private constructor(root: string, path: string, options: Options, clock: { now: number }, stores: LmdbStores) {
    this.#root = root
    this.#path = path
    this.#options = options
    this.#clock = clock
    this.#stores = stores
  }

  get log(): LmdbStores['log'] {
    return this.#stores.log
  }

  get transcripts(): LmdbStores['transcripts'] {
    return this.#stores.transcripts
  }

  get runs(): LmdbStores['runs'] {
    return this.#stores.runs
  }

  get directory(): LmdbStores['directory'] {
    return this.#stores.directory
  }

  get deletions(): LmdbStores['deletions'] {
    return this.#stores.deletions
  }

  get usage(): LmdbStores['usage'] {
    return this.#stores.usage
  }

  advance(ms: number): void {
    this.#clock.now += ms
  }

  maintain(): Promise<void> {
    return this.#stores.log.checkpoint()
  }

  async reopen(): Promise<void> {
    await this.#stores.close()
    this.#stores = await openAt(this.#path, this.#options, this.#clock)
  }

  async crash(): Promise<void> {
    const copy = join(this.#root, `data-${this.#folders++}`)
    mkdirSync(copy)
    copyFileSync(join(this.#path, 'data.mdb'), join(copy, 'data.mdb'))
    cpSync(join(this.#path, 'journal'), join(copy, 'journal'), { recursive: true })
    await this.#stores.close()
    this.#path = copy
    this.#stores = await openAt(copy, this.#options, this.#clock)
  }

  /** The parts of the data folder whose files contain a text. */
  filesWith(text: string): readonly string[] {
    const files = readdirSync(this.#path, { recursive: true, withFileTypes: true }).filter((file) => file.isFile())
    const found = files.filter((file) => readFileSync(join(file.parentPath, file.name)).includes(text))
    return [...new Set(found.map((file) => relative(this.#path, file.parentPath) || file.name))]
  }

  async close(): Promise<void> {
    await this.#stores.close()
    rmSync(this.#root, { recursive: true, force: true })
  }
}

function openAt(path: string, options: Options, clock: { now: number }): Promise<LmdbStores> {
  return openLmdbStores({ closeTimeoutMs: 1000, ...options, now: () => clock.now, path })
}
