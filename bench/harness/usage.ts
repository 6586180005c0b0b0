// CPU time and memory: of this process, and of the whole machine, to detect other load.
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { FromServer, ToServer } from './bench-message.ts'

/** Clock ticks per second in /proc. */
const TICKS = 100

/** Busy seconds of all cores, including time taken by other virtual machines; 0 without /proc/stat. */
export function busySeconds(): number {
  try {
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] =
      readFileSync('/proc/stat', 'utf8').slice(0, 200).split('\n')[0]?.split(/\s+/).slice(1).map(Number) ?? []
    return (user + nice + system + irq + softirq + steal) / TICKS
  } catch {
    return 0
  }
}

/** CPU seconds of all threads of a process. Needs /proc. */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS
}

/** Milliseconds until V8 has returned the pages that a collection freed. */
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
  await sleep(UNMAPPED_MS)
}
