// The inspector: owners see a session's log live, and the conversation at any entry, through an approval, a cancel and
// a crash of the server. Other users see nothing. In a real browser, with a real server.
import { once } from 'node:events'
import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ParleyClient, type Session, tool } from '@parley/client'
import type { ReadersAnswer, SessionSnapshot } from '@parley/protocol'
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { LogFollower } from '../src/inspect/log-follower.ts'
import { Timeline } from '../src/inspect/timeline.ts'
import { hasNoViolation } from './axe.ts'
import { shoot, Visitor } from './browser.ts'
import { PageWorld } from './page-world.ts'
import { SECRET, tokenOf } from './token.ts'

/** For busy machines. */
const PATIENT = { timeout: 15_000 }

let world: PageWorld
const clients: ParleyClient[] = []
let visitor: Visitor
const closing: (() => void)[] = []

beforeAll(async () => {
  world = await PageWorld.start({ PARLEY_JWT_SECRET: SECRET, PARLEY_NODE: 'node-a' })
  visitor = await Visitor.come(world.browser, { viewport: { width: 1_400, height: 900 } })
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
  for (const close of closing.splice(0)) close()
  await Promise.all(visitor.context.pages().map((page) => page.close()))
  // Chromium logs refused requests and broken connections.
  const problems = visitor.problems.splice(0)
  expect(problems.filter((text) => !/status of 40[134]|net::ERR_/.test(text))).toEqual([])
})
afterAll(() => world.dispose())

async function join(user: string, session: string, token = tokenOf(user), found = '<b>it</b>'): Promise<Session> {
  const client = new ParleyClient({ url: world.server.url, token })
  clients.push(client)
  const probe = tool({ name: 'probe', approval: true, execute: () => ({ found }) })
  const joined = client.session(session, { tools: [probe] })
  await when(joined, () => joined.state.status === 'live')
  return joined
}

function when(session: Session, condition: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!condition()) return
      unsubscribe()
      resolve()
    }
    const unsubscribe = session.subscribe(look)
    look()
  })
}

/** Opens the inspector in a new tab, which shares no token with other tabs. */
async function inspect(
  user: string | undefined,
  session: string,
  colorScheme: 'light' | 'dark' = 'light',
): Promise<Page> {
  const token = user === undefined ? '' : `#token=${tokenOf(user)}`
  const page = await visitor.context.newPage()
  await page.emulateMedia({ colorScheme })
  await page.goto(`${world.site}inspect?session=${session}${token}`)
  return page
}

/** The text of an answer after each of its outputs. Under load, one output contains several tokens. */
async function steps(session: string, id: string): Promise<readonly string[]> {
  const answer = await fetch(`${world.site}v1/sessions/${session}`, {
    headers: { Authorization: `Bearer ${tokenOf('ann')}` },
  })
  const { messages } = (await answer.json()) as SessionSnapshot
  const found = messages.find((message) => message.role === 'assistant' && message.run === id)
  const [part] = found?.role === 'assistant' ? found.output : []
  if (part?.type !== 'text') throw new Error('There is no text.')
  let at = 0
  return part.lengths.map((length) => {
    at += length
    return part.text.slice(0, at)
  })
}

const run = (page: Page, at: number) => page.locator('.runs .run').nth(at)
const answer = (page: Page, id: string) => page.locator(`.snapshot-answer[data-run=${id}]`)

it('shows owners the log live, and the conversation at any entry', async () => {
  const ann = await join('ann', 'plans')
  const page = await inspect('ann', 'plans')
  expect(page.url()).not.toContain('token')
  await page.getByRole('status').filter({ hasText: 'Live' }).waitFor()

  // A call that waits for approval, live.
  const asked = ann.send('/demo tool=probe input={"deep":{"er":1}} count=4 rate=100')
  await page.locator('.snapshot-call[data-status=deciding]').waitFor()
  const [call] = [...ann.state.calls.keys()]
  await ann.decide(call ?? '', 'approve', 'fine')
  await asked.result()
  await run(page, 0).locator('.chip', { hasText: 'completed' }).waitFor()
  await page.getByText('probe was called, approved by ann').first().waitFor()
  // HTML in a tool's result is text.
  expect(await page.locator('.snapshot-call').textContent()).toContain('<b>it</b>')

  // A run that is cancelled while it streams.
  ann
    .send('/demo count=5000 rate=150')
    .result()
    .catch(() => undefined)
  await when(ann, () => (ann.state.runs.get(ann.state.activeRun ?? '')?.next ?? 0) > 40)
  const cancelled = ann.state.activeRun ?? ''
  await ann.cancel()
  await run(page, 1).locator('.chip', { hasText: 'cancelled by ann' }).waitFor()

  // A run whose server is killed, and resumes.
  const resumed = ann.send('/demo count=60 rate=60')
  await when(ann, () => (ann.state.runs.get(ann.state.activeRun ?? '')?.next ?? 0) > 8)
  const restarted = ann.state.activeRun ?? ''
  await world.server.kill()
  await world.server.start()
  expect((await resumed.result()).status).toBe('completed')
  await run(page, 2).locator('.chip', { hasText: 'completed' }).waitFor()
  await run(page, 2)
    .getByText(/Attempt 1 on node-a \(new\), then attempt 2 on node-a/)
    .first()
    .waitFor()
  await page.getByRole('status').filter({ hasText: 'Live' }).waitFor()
  await hasNoViolation(page)
  await shoot(page, 'inspector')

  // Back to the twenty-first output of the cancelled run.
  await page.getByRole('searchbox').fill(`${cancelled} 20:`)
  await page.locator('.entry', { hasText: 'text 20:' }).click()
  const snapshot = answer(page, cancelled)
  const until = await steps('plans', cancelled)
  const text = (): Promise<string | null> => snapshot.locator('.snapshot-text').textContent()
  await expect.poll(text, PATIENT).toBe(until[20])
  expect(await snapshot.getAttribute('data-status')).toBe('running')
  // Later runs are not in the snapshot.
  expect(await answer(page, restarted).count()).toBe(0)
  await expect.poll(() => page.locator('.details-json').textContent(), PATIENT).toContain('"index": 20')

  // By keyboard, the slider moves by one entry, and with Shift by ten.
  const slider = page.getByRole('slider', { name: 'Entry' })
  await slider.press('ArrowRight')
  await expect.poll(text, PATIENT).toBe(until[21])
  await slider.press('Shift+ArrowLeft')
  await expect.poll(text, PATIENT).toBe(until[11])
  await page.getByRole('button', { name: 'Forward' }).click()
  await expect.poll(text, PATIENT).toBe(until[12])
  await shoot(page, 'inspector-snapshot')
  // In the list of entries the focus moves with the selection.
  await page.getByRole('searchbox').fill('')
  const current = page.locator('.entry[aria-current=true]')
  await current.focus()
  await current.press('ArrowDown')
  await expect.poll(text, PATIENT).toBe(until[13])
  await expect.poll(() => current.evaluate((row) => row === document.activeElement), PATIENT).toBe(true)
  await slider.press('Home')
  await page.getByText('No messages yet.').waitFor()
  // Playback ends at the last entry.
  await page.getByRole('combobox', { name: 'Speed' }).selectOption('64')
  await page.getByRole('button', { name: 'Play' }).click()
  await expect.poll(() => page.locator('.position').textContent(), PATIENT).toMatch(/Entry (\d+) of \1 /)
  expect(await answer(page, restarted).getAttribute('data-status')).toBe('completed')

  // New entries move the selection only while it follows the log.
  await slider.press('Home')
  await ann.send('/demo count=2 rate=0').result()
  await run(page, 3).waitFor({ state: 'attached' })
  await page.getByText('No messages yet.').waitFor()
  await page.getByRole('button', { name: 'Follow live' }).click()
  await page.locator('.snapshot-answer[data-status=completed] .snapshot-text', { hasText: /^0 1$/ }).waitFor()

  // The readers: the client, and this page.
  await expect.poll(() => page.locator('.readers tbody tr').count(), PATIENT).toBe(2)
  const transports = await page.locator('.readers tbody tr td:nth-child(2)').allTextContents()
  expect(transports).toContain('ndjson')
})

it('says what compaction has dropped from the log, in the dark theme and on a phone', async () => {
  const ann = await join('ann', 'later')
  await ann.send('/demo count=30 rate=0 reasoning=3').result()
  const page = await inspect('ann', 'later', 'dark')
  await page
    .getByText(/Compacted: text of \d+ outputs kept, timing dropped/)
    .first()
    .waitFor()
  await run(page, 0).locator('.run-words', { hasText: 'Attempt 1 on node-a (new)' }).waitFor()
  await page.getByText('This part was compacted').waitFor()
  await hasNoViolation(page)
  await shoot(page, 'inspector-dark')
  await page.setViewportSize({ width: 390, height: 844 })
  // A scrollbar takes a part of the width in Firefox.
  expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0)
  // The overflowing box becomes reachable by keyboard after the resize observer has run.
  await page.locator('.readers-box[tabindex="0"]').waitFor()
  await hasNoViolation(page)
  await shoot(page, 'inspector-phone', { fullPage: true })
})

/** A proxy that buffers NDJSON streams forever, and forwards other requests. @returns its URL */
async function bufferingProxy(): Promise<string> {
  const proxy = createServer(({ url, headers }, response) => {
    if (headers.accept === 'application/x-ndjson') return
    get({ port: world.server.port, host: '127.0.0.1', path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
  })
  closing.push(() => {
    proxy.close()
    proxy.closeAllConnections()
  })
  await once(proxy.listen(0, '127.0.0.1'), 'listening')
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
}

it('falls back to long polling behind a buffering proxy, and reads the same log', async () => {
  const ann = await join('ann', 'buffered')
  await ann.send('/demo count=20 rate=500').result()
  const timeline = new Timeline('buffered')
  const events: string[] = []
  const follower = new LogFollower({
    origin: await bufferingProxy(),
    session: 'buffered',
    headers: () => ({ Authorization: `Bearer ${tokenOf('ann')}` }),
    firstByteMs: 100,
    events: {
      attached: (role) => events.push(role),
      entry: (frame) => {
        timeline.add(frame)
        return true
      },
      live: () => events.push('live'),
      lost: () => events.push('lost'),
      merges: () => events.push('merges'),
      denied: ({ code }) => events.push(code),
    },
  })
  closing.push(() => follower.close())
  await expect.poll(() => events.includes('live'), PATIENT).toBe(true)
  expect(events.slice(0, 5)).toEqual(['lost', 'merges', 'lost', 'owner', 'live'])
  await ann.send('/demo count=20 rate=500').result()
  await expect
    .poll(() => [...timeline.head.runs.values()].map(({ text }) => text), PATIENT)
    .toEqual([...ann.state.runs.values()].map(({ text }) => text))
})

it('leaves its connection to other pages while it is hidden, and continues when it is shown', async () => {
  const ann = await join('ann', 'hidden')
  const page = await inspect('ann', 'hidden')
  await page.getByRole('status').filter({ hasText: 'Live' }).waitFor()
  const readers = async (): Promise<number> => {
    const headers = { Authorization: `Bearer ${tokenOf('ann')}` }
    const answer = await fetch(`${world.site}v1/sessions/hidden/readers`, { headers })
    return ((await answer.json()) as ReadersAnswer).readers.length
  }
  expect(await readers()).toBe(2)
  const become = (hidden: boolean): Promise<void> =>
    page.evaluate((value) => {
      Object.defineProperty(document, 'hidden', { value, configurable: true })
      document.dispatchEvent(new Event('visibilitychange'))
    }, hidden)
  await become(true)
  await expect.poll(readers, PATIENT).toBe(1)
  await ann.send('/demo count=3 rate=0').result()
  await become(false)
  await page.locator('.snapshot-answer[data-status=completed] .snapshot-text', { hasText: /^0 1 2$/ }).waitFor()
})

it('opens from the chat page for an owner', async () => {
  const ann = await join('ann', 'found')
  await ann.send('/demo count=1 rate=0').result()
  const page = await visitor.context.newPage()
  await page.goto(`${world.site}?session=found#token=${tokenOf('ann')}`)
  await page.getByRole('button', { name: 'Connection' }).click()
  await page.getByRole('link', { name: 'Inspect session' }).click()
  await page.getByRole('status').filter({ hasText: 'Live' }).waitFor()
  await page.locator('.runs .chip', { hasText: 'completed' }).waitFor()
  await page.getByRole('link', { name: 'Open chat' }).click()
  await page.locator('.answer[data-status=completed]').waitFor()
})

it('shows HTML in the log as text: messages, names, titles, inputs, results and reasons', async () => {
  const html = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script><a href="javascript:pwned=1">x</a>'
  const user = 'mal"><svg onload=pwned=1>'
  const mal = await join(user, 'malicious', tokenOf(user, html), html)
  const page = await inspect(user, 'malicious')
  await page.getByRole('status').filter({ hasText: 'Live' }).waitFor()
  const renamed = await fetch(`${world.site}v1/sessions/malicious`, {
    method: 'PATCH',
    headers: { Authorization: `Bearer ${tokenOf(user)}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ title: html }),
  })
  expect(renamed.status).toBe(204)
  const asked = mal.send(`/demo tool=probe input=${JSON.stringify({ [html]: html })} count=2 rate=0`)
  await page.locator('.snapshot-call[data-status=deciding]').waitFor()
  const [call] = [...mal.state.calls.keys()]
  await mal.decide(call ?? '', 'approve', html)
  await asked.result()
  await run(page, 0).locator('.chip', { hasText: 'completed' }).waitFor()
  for (const summary of await page.locator('summary').all()) await summary.click()

  const text = (await page.locator('body').textContent()) ?? ''
  // The message, the tool's input and result, and the author.
  expect(text.split('<script>window.pwned=1</script>').length).toBeGreaterThan(3)
  expect(text).toContain(user)
  const found = await page.evaluate(() => ({
    pwned: 'pwned' in window,
    elements: document.querySelectorAll('#root :is(img, script, iframe, [onerror], [onload], [href^=javascript])')
      .length,
  }))
  expect(found).toEqual({ pwned: false, elements: 0 })
})

it('shows the other parts if one fails to render', async () => {
  const ada = await join('ada', 'broken')
  await ada.send('/demo count=2 rate=0').result()
  const page = await visitor.context.newPage()
  // The list of entries formats their times.
  await page.addInitScript(() => {
    Date.prototype.toISOString = () => {
      throw new RangeError('The test breaks the times of entries.')
    }
  })
  await page.goto(`${world.site}inspect?session=broken#token=${tokenOf('ada')}`)
  await page.getByText('This part couldn’t be displayed.').first().waitFor(PATIENT)
  await page.getByRole('heading', { name: /Inspector/ }).waitFor(PATIENT)
  await page.locator('.badge').getByText('Live').waitFor(PATIENT)
  const problems = visitor.problems.splice(0)
  expect(problems.filter((text) => !text.includes('The test breaks the times of entries.'))).toEqual([])
})

it('denies access to other users, and does not create a session', async () => {
  const ann = await join('ann', 'private')
  await ann.send('/demo count=1 rate=0').result()
  const isDenied = async (user: string, session: string, title: string): Promise<void> => {
    const page = await inspect(user, session)
    await page.getByRole('heading', { name: title }).waitFor()
    expect(await page.locator('.inspector').count()).toBe(0)
  }
  await isDenied('eve', 'private', 'Access denied')
  await isDenied('eve', 'nowhere', 'Session not found')
  // Eve's visit has not created the session.
  await isDenied('ann', 'nowhere', 'Session not found')

  const page = await inspect(undefined, 'private')
  await page.getByRole('heading', { name: 'Sign in to continue' }).waitFor()
  await hasNoViolation(page)
  await page.getByLabel('Token').fill(tokenOf('ann'))
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('status').filter({ hasText: 'Live' }).waitFor()
})
