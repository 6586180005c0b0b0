// What the whole machine does, on Linux: whether somebody else used it while a benchmark measured.
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'

/** Of /proc/stat: clock ticks a second. */
const TICKS = 100

/** Seconds of all cores in which somebody did something, or in which another machine had them; 0 where it is not told. */
export function busySeconds(): number {
  try {
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] =
      readFileSync('/proc/stat', 'utf8').slice(0, 200).split('\n')[0]?.split(/\s+/).slice(1).map(Number) ?? []
    return (user + nice + system + irq + softirq + steal) / TICKS
  } catch {
    return 0
  }
}

export function machine(): string {
  return `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.version}`
}
