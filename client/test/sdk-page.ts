// A page that loads the SDK's build output without a bundler, and exposes it to a test.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Files } from './middlebox.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

export const SDK_PAGE = '/sdk.html'

const IMPORTS = { '#platform': '/client/dist/platform-browser.js', '@parley/protocol/': '/protocol/dist/' }

const HTML = `<!doctype html>
<meta charset="utf-8">
<title>Parley’s SDK</title>
<link rel="icon" href="data:,">
<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>
<script type="module">
  import { ParleyClient, tool } from '/client/dist/index.js'
  const until = (subject, holds) => new Promise((resolve) => {
    const check = () => holds(subject.state) && (resolve(subject.state), true)
    if (check()) return
    const unsubscribe = subject.subscribe(() => check() && unsubscribe())
  })
  const hurried = (factor) => ({
    now: () => Date.now() * factor,
    random: () => 0.5,
    after: (ms, callback) => {
      const timer = setTimeout(callback, ms / factor)
      return () => clearTimeout(timer)
    },
  })
  const here = tool({ name: 'here', execute: () => ({ title: document.title }) })
  let client
  window.sdk = {
    open({ hurry, ...options }) {
      client = new ParleyClient({ url: location.origin, ...options, ...(hurry ? { clock: hurried(hurry) } : {}) })
      client.connect()
    },
    live: (id) => until(client.session(id, { tools: [here] }), (view) => view.status === 'live').then(() => undefined),
    async ask(id, text) {
      let whole = ''
      for await (const part of client.session(id).send(text).text()) whole += part
      return whole
    },
    async cancelled(id, text) {
      const reply = client.session(id).send(text)
      let whole = ''
      let cancelled
      for await (const part of reply.text()) {
        whole += part
        if (whole.length > 20) await (cancelled ??= client.session(id).cancel())
      }
      return { whole, status: (await reply.result()).status }
    },
    faults: (id) => client.session(id).state.faults,
    uses: (name) => until(client, ({ status, transport }) => status === 'open' && transport.door === name).then(({ transport }) => transport),
    hide() {
      Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true })
      document.dispatchEvent(new Event('visibilitychange'))
    },
    show() {
      delete document.visibilityState
      document.dispatchEvent(new Event('visibilitychange'))
    },
  }
</script>
`

export const sdkFiles: Files = (path) => {
  if (path === SDK_PAGE) return { type: 'text/html', body: HTML }
  const match = /^\/((?:client|protocol)\/dist\/[\w/-]+?)(\.js)?$/.exec(path)
  if (match === null) return undefined
  return { type: 'text/javascript', body: readFileSync(`${ROOT}${match[1]}.js`, 'utf8') }
}

/** What the page offers to a test. */
export interface SdkInPage {
  open(options: { transport?: string; hurry?: number; doors?: { probeMs: number } }): void
  live(session: string): Promise<void>
  ask(session: string, text: string): Promise<string>
  cancelled(session: string, text: string): Promise<{ whole: string; status: string }>
  faults(session: string): number
  uses(door: string): Promise<{ door: string; why?: string; moves: number }>
  hide(): void
  show(): void
}
