// The page after outages of the server: every tab is live over a WebSocket within ten seconds of the server's return. Sites
// with addresses of their own are away at the same time: Firefox opens the WebSockets to an address one after the other.
import process from 'node:process'
import { setTimeout } from 'node:timers/promises'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isFirefox, launch } from './browser.ts'
import { OutageSite } from './outage-suite.ts'

const BACK_MS = 10_000
/** 21 outages of each length. */
const SITES = 7
const OUTAGES_PER_SITE = 3
/** Milliseconds between the outages of two sites, because the start of a server uses the processor for a while. */
const STAGGER_MS = 2_000
const TAB_COUNTS = [1, 6]

let browser: Browser
const sites: { readonly tabs: number; readonly site: OutageSite }[] = []

beforeAll(async () => {
  browser = await launch()
  for (let i = 0; i < SITES; i += 1) {
    for (const tabs of TAB_COUNTS)
      sites.push({ tabs, site: await OutageSite.open(browser, tabs, addressOf(sites.length)) })
  }
}, 600_000)
afterAll(async () => {
  await Promise.all(sites.map(({ site }) => site.close()))
  await browser.close()
})

describe.each([10, 90, 240])('after outages of %i s', (seconds) => {
  it(
    'every tab is live within 10 s over a WebSocket, and remembers that transport',
    async () => {
      const times = await Promise.all(
        sites.map(async ({ tabs, site }, index) => {
          await setTimeout(index * STAGGER_MS)
          const measured: number[] = []
          for (let i = 0; i < OUTAGES_PER_SITE; i += 1) {
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
      expect(rows.filter(({ p99 }) => p99 > BACK_MS)).toEqual([])
    },
    OUTAGES_PER_SITE * (seconds + 60) * 1_000 + sites.length * STAGGER_MS + 120_000,
  )
})

/** A loopback address. macOS has only one. */
function addressOf(index: number): string {
  return process.platform === 'darwin' ? '127.0.0.1' : `127.0.1.${index + 1}`
}

/** @param sorted ascending, not empty */
function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.ceil(q * sorted.length) - 1] ?? Number.NaN
}
