// The page after outages of the server: every tab is live over a WebSocket within ten seconds of the server's return. Sites
// with addresses of their own are away at the same time: Firefox opens the WebSockets to an address one after the other.
import { cpus } from 'node:os'
import process from 'node:process'
import { setTimeout } from 'node:timers/promises'
import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { isFirefox, launch } from './browser.ts'
import { OutageSite } from './outage-suite.ts'

const BACK_MS = 10_000
/** Of each length, for each number of tabs. */
const OUTAGES = 20
/** Milliseconds between the first outages of two sites, because the start of a server uses the processor for a while. */
const STAGGER_MS = 4_000
const TAB_COUNTS = [1, 6]

let browser: Browser
let sites: { readonly tabs: number; readonly site: OutageSite }[] = []

beforeAll(async () => {
  browser = await launch()
})
afterEach(async () => {
  await Promise.all(sites.map(({ site }) => site.close()))
  sites = []
})
afterAll(() => browser.close())

// After a short outage, a site soon starts its server and opens a page again. Many such sites would keep the processor busy,
// and the times would be its times, not the product's.
describe.each([
  { seconds: 10, sitesOfACount: 2 },
  { seconds: 90, sitesOfACount: 7 },
  { seconds: 240, sitesOfACount: 7 },
])('after outages of $seconds s', ({ seconds, sitesOfACount }) => {
  const outages = Math.ceil(OUTAGES / sitesOfACount)

  it(
    'every tab is live within 10 s over a WebSocket, and remembers that transport',
    async () => {
      for (let i = 0; i < sitesOfACount; i += 1) {
        for (const tabs of TAB_COUNTS)
          sites.push({ tabs, site: await OutageSite.open(browser, tabs, addressOf(sites.length)) })
      }
      const idleShare = watchProcessor()
      const times = await Promise.all(
        sites.map(async ({ tabs, site }, index) => {
          await setTimeout(index * STAGGER_MS)
          const measured: number[] = []
          for (let i = 0; i < outages; i += 1) {
            measured.push(...(await site.outage(seconds, i % 2 === 0 ? 'SIGKILL' : 'SIGTERM')))
          }
          return { tabs, measured }
        }),
      )
      const rows = TAB_COUNTS.map((tabs) => {
        const sorted = times.flatMap((one) => (one.tabs === tabs ? one.measured : [])).sort((a, b) => a - b)
        return { tabs, times: sorted.length, p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) }
      })
      const name = isFirefox ? 'Firefox' : 'Chromium'
      for (const { tabs, times, p50, p99 } of rows) {
        process.stdout.write(`${name}, ${seconds} s, ${tabs} tabs: ${times} times, p50 ${p50} ms, p99 ${p99} ms\n`)
      }
      process.stdout.write(`The processor was idle for ${Math.round(100 * idleShare())} % of the time.\n`)
      expect(rows.filter(({ p99 }) => p99 > BACK_MS)).toEqual([])
    },
    outages * (seconds + 60) * 1_000 + sitesOfACount * TAB_COUNTS.length * 30_000,
  )
})

/** @returns a function that tells which share of the time since this call the processor was idle, from 0 to 1 */
function watchProcessor(): () => number {
  const read = (): { readonly idle: number; readonly total: number } => {
    const times = cpus().map((core) => core.times)
    const total = times.flatMap((one) => Object.values(one)).reduce((sum, ms) => sum + ms, 0)
    return { idle: times.reduce((sum, { idle }) => sum + idle, 0), total }
  }
  const before = read()
  return () => {
    const now = read()
    return (now.idle - before.idle) / (now.total - before.total)
  }
}

/** A loopback address. macOS has only one. */
function addressOf(index: number): string {
  return process.platform === 'darwin' ? '127.0.0.1' : `127.0.1.${index + 1}`
}

/** @param sorted ascending, not empty */
function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.ceil(q * sorted.length) - 1] ?? Number.NaN
}
