// CPU time and memory of a server: from /proc if it runs on this machine, else from its /metrics.
import { readFile } from 'node:fs/promises'

export interface Usage {
  readonly cpuMs: number
  readonly residentBytes: number
}

/** Units of /proc on Linux: hundredths of a second, and pages of 4 kB. */
const TICK_MS = 10
const PAGE = 4096

/** @returns undefined without such a process, or without /proc */
export async function usageOfPid(pid: number): Promise<Usage | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    // The command name, in parentheses, may contain spaces and parentheses.
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number)
    const [user = 0, system = 0] = fields.slice(11, 13)
    return { cpuMs: (user + system) * TICK_MS, residentBytes: (fields[21] ?? 0) * PAGE }
  } catch {
    return undefined
  }
}

/** Sends PARLEY_METRICS_TOKEN of its environment. @returns undefined if /metrics cannot be read */
export async function usageOfUrl(url: string): Promise<Usage | undefined> {
  try {
    const token = process.env.PARLEY_METRICS_TOKEN
    const headers: Record<string, string> = token === undefined ? {} : { Authorization: `Bearer ${token}` }
    const response = await fetch(`${url}/metrics`, { headers, signal: AbortSignal.timeout(5_000) })
    if (!response.ok) return undefined
    const text = await response.text()
    const cpu = sampleOf(text, 'process_cpu_seconds_total')
    const resident = sampleOf(text, 'process_resident_memory_bytes')
    return cpu === undefined || resident === undefined ? undefined : { cpuMs: cpu * 1000, residentBytes: resident }
  } catch {
    return undefined
  }
}

function sampleOf(text: string, name: string): number | undefined {
  const found = new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1]
  return found === undefined ? undefined : Number(found)
}

export function sumOf(usages: readonly (Usage | undefined)[]): Usage | undefined {
  const known = usages.filter((usage) => usage !== undefined)
  if (known.length < usages.length || known.length === 0) return undefined
  return known.reduce((sum, { cpuMs, residentBytes }) => ({
    cpuMs: sum.cpuMs + cpuMs,
    residentBytes: sum.residentBytes + residentBytes,
  }))
}
