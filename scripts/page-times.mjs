// Measures the page on this machine: time to first paint, time until it is live, and time from Enter to the first painted
// token. It starts its own server with the demo model at full speed, and uses a fresh browser profile for each load.
//
//   npm run build && node scripts/page-times.mjs [loads]
import { setTimeout as sleep } from 'node:timers/promises'
import { ServerProcess } from '../bench/dist/cluster/server-process.js'
import { launchChromium } from './browser.mjs'

const LOADS = Number(process.argv[2] ?? 15)

const server = await ServerProcess.start()
const browser = await launchChromium()
const loads = []
try {
  for (let at = 0; at <= LOADS; at += 1) {
    const times = await load()
    // The first load warms the server up.
    if (at > 0) loads.push(times)
    await sleep(200)
  }
} finally {
  await browser.close()
  await server.dispose()
}
const [first] = loads
for (const name of Object.keys(first ?? {})) {
  const sorted = loads.map((times) => times[name]).sort((a, b) => a - b)
  const at = (share) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))])
  console.log(`${name.padEnd(28)} median ${at(0.5)}, 90% ${at(0.9)}`)
}

async function load() {
  const context = await browser.newContext({ viewport: { width: 1_280, height: 800 } })
  const page = await context.newPage()
  await page.goto(`http://127.0.0.1:${server.port}/`)
  await page.getByRole('status').filter({ hasText: 'Live' }).waitFor()
  const measured = await page.evaluate(async () => {
    const painted = () =>
      new Promise((resolve) => requestAnimationFrame(() => setTimeout(() => resolve(performance.now()))))
    const live = performance.now()
    const paint = performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN
    const entries = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    const bytes = entries.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0)
    const box = document.querySelector('#message-box')
    const set = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value').set
    const text = new Promise((resolve) => {
      const observer = new MutationObserver(() => {
        if (document.querySelector('.answer .text')?.textContent) resolve(observer.disconnect())
      })
      observer.observe(document.querySelector('main'), { subtree: true, childList: true, characterData: true })
    })
    set.call(box, '/demo count=20 rate=0 ttft=0')
    box.dispatchEvent(new Event('input', { bubbles: true }))
    await painted()
    const sent = performance.now()
    box.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }))
    await text
    return { paint, live, token: (await painted()) - sent, bytes }
  })
  await context.close()
  return {
    'first paint, ms': measured.paint,
    'live, ms (seen by polling)': measured.live,
    'Enter to token, ms': measured.token,
    'bytes of the first load': measured.bytes,
  }
}
