// runLoadTest: servers, network and stretches, one after the other; whatever was started is stopped again.
import { randomBytes } from 'node:crypto'
import { forkChild, stopChild } from './child.ts'
import { type MemoryCost, probeMemory } from './memory-probe.ts'
import type { Options } from './options.ts'
import type { ProxyCounts } from './proxy/impairing-proxy.ts'
import { isImpaired } from './proxy/impairments.ts'
import type { FromProxy, ProxyJob } from './proxy/main.ts'
import { makeReport, type Report } from './report/report.ts'
import { driveStretch, type Second, type StretchResult } from './stretch.ts'
import { foreignSubject, type Subject, startSubject } from './subject.ts'

const PROXY_MS = 10_000

/** @throws Error when servers, proxy or generators do not do their part */
export async function runLoadTest(
  options: Options,
  command: string,
  machine: string,
  say: (text: string) => void,
): Promise<Report> {
  const startedAt = new Date().toISOString()
  const memory = await measuredMemory(options, say)
  const subject = options.urls.length > 0 ? foreignSubject(options.urls) : await startSubject(options.nodes)
  let network: Network | undefined
  try {
    if (isImpaired(options.impairments)) network = await openNetwork(options, subject)
    const stretches = await driveAll(options, subject, network?.urls ?? subject.urls, say)
    const { habits, goalMs, utilization, plan, impairments, together } = options
    return makeReport({
      startedAt,
      command,
      machine,
      nodes: subject.urls.length,
      impairments,
      proxy: await network?.counts(),
      together,
      stretches,
      memory,
      goal: { addedMs: goalMs, utilization },
      plan,
      seed: habits.seed,
      steady: { from: habits.arrivalMs, to: habits.durationMs },
    })
  } finally {
    await network?.close()
    await subject.stop()
  }
}

/** On a server of its own: what others leave behind in memory would be counted with it. */
async function measuredMemory(options: Options, say: (text: string) => void): Promise<MemoryCost | undefined> {
  if (options.memory === 0 || options.urls.length > 0) return undefined
  say(`memory of ${options.memory} sessions …\n`)
  // A small young generation: how far a large one happens to be filled would hide what sessions cost.
  const subject = await startSubject(1, 1)
  try {
    return await probeMemory(subject, options.memory)
  } finally {
    await subject.stop()
  }
}

async function driveAll(
  options: Options,
  subject: Subject,
  urls: readonly string[],
  say: (text: string) => void,
): Promise<StretchResult[]> {
  const stretches: StretchResult[] = []
  const name = `load-${randomBytes(4).toString('hex')}`
  const { doors, together, steps, habits, token, silenceMs, drainMs, model } = options
  for (const users of steps) {
    for (const driven of together ? [doors] : doors.map((door) => [door])) {
      const title = `${driven.join('+')}, ${users} users`
      const job = {
        parts: Math.min(options.generators, users),
        habits: { ...habits, users },
        doors: driven,
        urls,
        name: `${name}-${stretches.length}`,
        model,
        text: model === undefined || model === 'demo' ? 'demo' : 'other',
        token,
        silenceMs,
        drainMs,
      } as const
      stretches.push(await driveStretch(job, subject, progressOf(title, say)))
      say('\n')
    }
  }
  return stretches
}

/** One line that is written over, in a terminal; elsewhere one every ten seconds. */
function progressOf(title: string, say: (text: string) => void): (second: Second) => void {
  let asked = 0
  let ended = 0
  let lost = 0
  let faults = 0
  let told = 0
  return (second) => {
    asked += second.asked
    ended += second.ended
    lost += second.interruptions
    faults += second.faults
    told += 1
    const cores = second.cores === undefined ? '' : `  ${second.cores.toFixed(2)} cores`
    const line = `${title}  ${second.at.toFixed(0)} s  ${second.outputs} tokens/s  ${second.active} under way  ${ended} of ${asked} answered  ${lost} connections lost  ${faults} faults${cores}`
    if (process.stdout.isTTY) say(`\r\u001b[K${line}`)
    else if (told % 10 === 0) say(`${line}\n`)
  }
}

interface Network {
  readonly urls: readonly string[]
  counts(): Promise<ProxyCounts>
  close(): Promise<void>
}

async function openNetwork({ impairments, habits }: Options, subject: Subject): Promise<Network> {
  const child = forkChild('proxy/main.js')
  const next = <T extends FromProxy['type']>(type: T): Promise<Extract<FromProxy, { type: T }>> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('The proxy did not answer.')), PROXY_MS)
      child.once('message', (message: FromProxy) => {
        clearTimeout(timer)
        if (message.type === type) resolve(message as Extract<FromProxy, { type: T }>)
        else reject(new Error(`The proxy said ${message.type}.`))
      })
    })
  const ready = next('ready')
  child.send({ targets: subject.urls, impairments, seed: habits.seed } satisfies ProxyJob)
  try {
    const { urls } = await ready
    return {
      urls,
      counts: async () => {
        const told = next('counts')
        child.send('counts')
        const total: ProxyCounts = { connections: 0, cuts: 0, stalls: 0, blackholes: 0 }
        for (const one of (await told).counts) {
          for (const key of Object.keys(total) as (keyof ProxyCounts)[]) total[key] += one[key]
        }
        return total
      },
      close: () => stopChild(child, 1_000),
    }
  } catch (error) {
    await stopChild(child, 1_000)
    throw error
  }
}
