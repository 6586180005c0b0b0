// DataFolderWatch: notices that files of the data folder were removed, moved or replaced while they are open. The system
// keeps open files alive, so writes to them still succeed, but nobody can read them after a restart.
import { type Stats, statSync } from 'node:fs'

/** Where a file was when it was opened. */
export interface FilePlace {
  readonly path: string
  readonly file: Pick<Stats, 'dev' | 'ino'>
}

const INTERVAL_MS = 1_000

/** @throws Error of the system, for example if there is no permission */
export function isInPlace({ path, file }: FilePlace): boolean {
  const now = statSync(path, { throwIfNoEntry: false })
  return now !== undefined && now.ino === file.ino && now.dev === file.dev
}

export function removedError(path: string): Error {
  return new Error(`${path} was removed or replaced while the server was using it`)
}

/** @param onRemoved called once. @returns stops the watch */
export function watchFiles(paths: readonly string[], onRemoved: (error: Error) => void): () => void {
  const places = paths.map((path): FilePlace => ({ path, file: statSync(path) }))
  const timer = setInterval(() => {
    const gone = places.find((place) => !isReachable(place))
    if (gone === undefined) return
    clearInterval(timer)
    onRemoved(removedError(gone.path))
  }, INTERVAL_MS).unref()
  return () => clearInterval(timer)
}

/** A file that cannot be examined at the moment may still be there. */
function isReachable(place: FilePlace): boolean {
  try {
    return isInPlace(place)
  } catch {
    return true
  }
}
