// extendCache: reads older entries of a followed session into its cache.
import type { Seq } from '../../ports/entry.ts'
import type { CacheBudget, RecentEntries } from './recent-entries.ts'
import type { SessionSource } from './session-source.ts'

export interface ExtensionPorts {
  readonly source: SessionSource
  readonly budget: CacheBudget
}

/**
 * @param after position of a reader
 * @param confirm resolves when everything that the leader has is delivered
 * @returns whether the entries after the position fit @throws StorageError, CursorLost
 */
export async function extendCache(
  { source, budget }: ExtensionPorts,
  session: string,
  recent: RecentEntries,
  after: Seq,
  confirm: () => Promise<void>,
): Promise<boolean> {
  const { floor } = recent
  if (after >= floor) return true
  const found = await source.between(session, after, floor, budget.limits.sessionBytes)
  if (found === undefined) return false
  // A run was compacted during the read, so its older entries no longer exist. Nobody may see its newest entries
  // before the rollup that replaces them all.
  if (found.compacted) await confirm()
  // Meanwhile the cache may have evicted entries.
  return recent.floor === floor && recent.extend(found.entries, after)
}
