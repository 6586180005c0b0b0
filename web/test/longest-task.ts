// The longest task of a page's main thread. Chromium's trace has the CPU time of each task, which other processes do not
// change. Firefox has no trace over WebDriver BiDi: there the page records how late its timers are, and the time of other
// processes counts, too.
import type { Browser, Page } from 'playwright-core'
import { expect } from 'vitest'
import { isFirefox } from './browser.ts'

/** @param visit opens and uses the page @returns milliseconds */
export async function longestTask(browser: Browser, page: Page, visit: () => Promise<void>): Promise<number> {
  if (isFirefox) {
    await recordDelays(page)
    await visit()
    return longestDelay(page)
  }
  await browser.startTracing(page, { categories: ['toplevel'] })
  let events: Buffer
  try {
    await visit()
  } finally {
    events = await browser.stopTracing()
  }
  return longestInTrace(events)
}

/** Milliseconds between two timers. */
const STEP_MS = 10

interface Delays {
  longest: number
  /** When the timer fired last, by `performance.now()`. */
  last: number
}

declare const window: Window & { readonly delays: Delays }

/** Firefox delays timers until the page has loaded. */
async function recordDelays(page: Page): Promise<void> {
  await page.addInitScript((stepMs) => {
    window.addEventListener('load', () => {
      const delays: Delays = { longest: 0, last: performance.now() }
      Object.assign(window, { delays })
      setInterval(() => {
        const now = performance.now()
        delays.longest = Math.max(delays.longest, now - delays.last)
        delays.last = now
      }, stepMs)
    })
  }, STEP_MS)
}

function longestDelay(page: Page): Promise<number> {
  return page.evaluate(() => Math.max(window.delays.longest, performance.now() - window.delays.last))
}

interface TraceEvent {
  readonly name: string
  readonly ph: string
  readonly tid: number
  readonly pid: number
  /** Microseconds of CPU time. */
  readonly tdur?: number
  readonly args: { readonly name?: string }
}

function longestInTrace(events: Buffer): number {
  const { traceEvents } = JSON.parse(events.toString()) as { readonly traceEvents: readonly TraceEvent[] }
  const main = new Set(
    traceEvents
      .filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain')
      .map(({ pid, tid }) => `${pid} ${tid}`),
  )
  const tasks = traceEvents.filter(({ name, pid, tid }) => name.endsWith('RunTask') && main.has(`${pid} ${tid}`))
  expect(tasks.length).toBeGreaterThan(10)
  return Math.max(...tasks.map(({ tdur = 0 }) => tdur / 1_000))
}
