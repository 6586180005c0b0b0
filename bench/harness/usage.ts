// What a server's process has used so far; where that is asked for, without garbage.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { FromServer, ToServer } from './bench-message.ts'

/** Milliseconds after which pages that a collection emptied are the machine's again. */
const UNMAPPED_MS = 1_500

export async function usageOf({ collected }: Extract<ToServer, { ask: 'usage' }>): Promise<FromServer> {
  if (collected === true) await collect()
  const { user, system } = process.cpuUsage()
  return { cpu: user + system, rss: process.memoryUsage.rss() }
}

async function collect(): Promise<void> {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  gc()
  gc()
  await new Promise((resolve) => setTimeout(resolve, UNMAPPED_MS))
}
