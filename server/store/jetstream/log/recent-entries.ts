// RecentEntries: caches the newest living entries of one followed session, without a gap from its floor to its top.
// CacheBudget: limits the bytes of all these caches; over the limit it clears the least recently read ones. Cleared
// entries are read from the log again.
import type { Entry, Seq } from '../../ports/entry.ts'
import { META, type Subject } from '../../ports/session-log.ts'

export interface CacheLimits {
  /** For all sessions together. */
  readonly bytes: number
  readonly sessionBytes: number
}

const CACHE_LIMITS: CacheLimits = { bytes: 256 * 1024 * 1024, sessionBytes: 4 * 1024 * 1024 }

/** Approximate memory of an entry in addition to its JSON. */
const ENTRY_BYTES = 200

export class CacheBudget {
  readonly limits: CacheLimits
  /** Least recently read first. */
  readonly #sessions = new Set<RecentEntries>()
  #bytes = 0

  constructor(limits: Partial<CacheLimits> = {}) {
    this.limits = { ...CACHE_LIMITS, ...limits }
  }

  get bytes(): number {
    return this.#bytes
  }

  open(top: Seq): RecentEntries {
    const recent = new RecentEntries(top, this)
    this.#sessions.add(recent)
    return recent
  }

  /** For `RecentEntries` only. @param bytes by how much it grew; negative if it shrank */
  grew(recent: RecentEntries, bytes: number): void {
    this.#bytes += bytes
    if (bytes <= 0) return
    for (const other of this.#sessions) {
      if (this.#bytes <= this.limits.bytes) return
      if (other !== recent) other.clear()
    }
    if (this.#bytes > this.limits.bytes) recent.clear()
  }

  touched(recent: RecentEntries): void {
    this.#sessions.delete(recent)
    this.#sessions.add(recent)
  }

  closed(recent: RecentEntries): void {
    recent.clear()
    this.#sessions.delete(recent)
  }
}

export class RecentEntries {
  readonly #budget: CacheBudget
  #entries: Entry[] = []
  #bytes = 0
  #floor: Seq
  #top: Seq

  constructor(top: Seq, budget: CacheBudget) {
    this.#budget = budget
    this.#floor = top
    this.#top = top
  }

  /** The cache has every living entry after the floor, up to `top`. */
  get floor(): Seq {
    return this.#floor
  }

  get top(): Seq {
    return this.#top
  }

  /** Adds the next entries in order. The session has no other entries up to `top`. */
  add(entries: readonly Entry[], top: Seq): void {
    let grown = 0
    for (const entry of entries) {
      if (entry.rollup) this.#replace(entry)
      this.#entries.push(entry)
      grown += sizeOf(entry)
    }
    this.#top = top
    this.#bytes += grown
    if (this.#bytes > this.#budget.limits.sessionBytes) this.#halve()
    this.#budget.grew(this, grown)
  }

  /** Adds all living entries between a new floor and the current one. @returns false if they do not fit */
  extend(entries: readonly Entry[], floor: Seq): boolean {
    const rollups = this.#entries.filter((entry) => entry.rollup)
    const replaced = new Set(rollups.map(({ subject }) => subject))
    const living = replaced.has(META) ? [] : entries.filter((entry) => !replaced.has(entry.subject))
    const grown = living.reduce((bytes, entry) => bytes + sizeOf(entry), 0)
    if (this.#bytes + grown > this.#budget.limits.sessionBytes) return false
    this.#entries = [...living, ...this.#entries]
    this.#floor = floor
    this.#bytes += grown
    this.#budget.grew(this, grown)
    return this.#floor === floor
  }

  /** The entries after a position. The position must not be before the floor. */
  after(seq: Seq): Entry[] {
    this.#budget.touched(this)
    return this.#entries.slice(this.#indexAfter(seq))
  }

  /** Whether an entry after the floor was added: the cache has it, or a rollup replaced it. */
  knows(seq: Seq, subject: string): boolean {
    if (this.#entries[this.#indexAfter(seq) - 1]?.seq === seq) return true
    return this.#entries.some((entry) => entry.rollup && entry.seq > seq && replaces(entry, subject))
  }

  clear(): void {
    const bytes = this.#bytes
    this.#entries = []
    this.#bytes = 0
    this.#floor = this.#top
    this.#budget.grew(this, -bytes)
  }

  #replace(rollup: Entry): void {
    let freed = 0
    this.#entries = this.#entries.filter((entry) => {
      if (!replaces(rollup, entry.subject)) return true
      freed += sizeOf(entry)
      return false
    })
    this.#bytes -= freed
    this.#budget.grew(this, -freed)
  }

  #halve(): void {
    let freed = 0
    let count = 0
    while (count < this.#entries.length && this.#bytes - freed > this.#budget.limits.sessionBytes / 2) {
      freed += sizeOf(this.#entries[count++] as Entry)
    }
    this.#floor = this.#entries[count - 1]?.seq ?? this.#floor
    this.#entries = this.#entries.slice(count)
    this.#bytes -= freed
    this.#budget.grew(this, -freed)
  }

  /** The index of the first entry after `seq`. */
  #indexAfter(seq: Seq): number {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#entries[middle] as Entry).seq <= seq) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** A rollup of `meta` ends the session, and the log purges its earlier entries (SessionLog.purge). */
function replaces(rollup: Entry, subject: Subject): boolean {
  return rollup.subject === subject || rollup.subject === META
}

function sizeOf(entry: Entry): number {
  return entry.json.length + ENTRY_BYTES
}
