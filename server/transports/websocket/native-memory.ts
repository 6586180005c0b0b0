// nativeMemory: the memory in which uWS keeps what it has not passed on, and which it does not tell: unfinished messages.
import { existsSync, readFileSync } from 'node:fs'

/** Bytes of the process besides JavaScript's and mapped files. uWS's buffers are among them, and it does not tell their size. */
export function nativeMemory(): number {
  const { rss, heapTotal, external } = process.memoryUsage()
  return rss * (1 - mappedPart()) - heapTotal - external
}

const STATM = '/proc/self/statm'

/** The part of the resident memory that is mapped from files, such as LMDB's tables. 0 on systems that do not tell. */
function mappedPart(): number {
  if (!existsSync(STATM)) return 0
  const [, resident = 1, shared = 0] = readFileSync(STATM, 'utf8').split(' ').map(Number)
  return shared / resident
}
