// Large values: each pass over one (parsing it, checking it, writing it) takes milliseconds for each MiB, and a request may have 16 MiB.
// Between two passes the event loop serves others.
import { setImmediate } from 'node:timers/promises'

/** UTF-16 code units or bytes. */
const LARGE = 1024 * 1024

/** Call after a pass over a value. @param size of the value in UTF-16 code units or bytes @returns for a large one, in a later turn of the event loop */
export async function afterPass(size: number): Promise<void> {
  if (size > LARGE) await setImmediate()
}
