// What a server's process has used so far.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { FromServer, ToServer } from './bench-message.ts'

export function usageOf({ collected }: Extract<ToServer, { ask: 'usage' }>): FromServer {
  if (collected === true) collect()
  const { user, system } = process.cpuUsage()
  return { cpu: user + system, rss: process.memoryUsage.rss() }
}

function collect(): void {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  gc()
  gc()
}
