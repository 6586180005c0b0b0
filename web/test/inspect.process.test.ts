// The inspector: owners see a session's log as it grows, go back in it and see the conversation as it was, through an
// approval, a cancel and the death of the server; nobody else sees anything. In a real browser, on a real server.
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { ParleyClient, type Session, tool } from '@parley/client'
import type { SessionSnapshot } from '@parley/protocol'
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { LogFeed } from '../src/inspect/log-feed.ts'
import { Timeline } from '../src/inspect/timeline.ts'
import { hasNoViolation } from './axe.ts'
import { Visitor } from './browser.ts'
import { PageWorld } from './page-world.ts'
import { SECRET, tokenOf } from './token.ts'

const ARTIFACTS = fileURLToPath(new URL('../../artifacts/', import.meta.url))

/** A machine may have other things to do. */
const PATIENT = { timeout: 15_000 }

let world: PageWorld
const clients: ParleyClient[] = []
let visitor: Visitor
const closing: (() => void)[] = []

beforeAll(async () => {
  mkdirSync(ARTIFACTS, { recursive: true })
  world = await PageWorld.start({ PARLEY_JWT_SECRET: SECRET, PARLEY_NODE: 'node-a' })
  visitor = await Visitor.come(world.browser, { viewport: { width: 1_400, height: 900 } })
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
  for (const close of closing.splice(0)) close()
  await Promise.all(visitor.context.pages().map((page) => page.close()))
  // Chromium itself tells of refusals, and of a server that died.
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

/** A tab of its own, which has no other tab's token. */
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

/** What an answer was after each of its outputs: under load, several tokens come as one. */
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
const answer = (page: Page, id: string) => page.locator(`.past-answer[data-run=${id}]`)

it('shows owners the log live, and the conversation as it was at any entry of it', async () => {
  const ann = await join('ann', 'plans')
  const page = await inspect('ann', 'plans')
  expect(page.url()).not.toContain('token')
  await page.getByRole('status').filter({ hasText: 'Live' }).waitFor()

  // A call that waits for a decision, live.
  const asked = ann.send('/demo tool=probe input={"deep":{"er":1}} count=4 rate=100')
  await page.locator('.past-call[data-status=deciding]').waitFor()
  const [call] = [...ann.state.calls.keys()]
  await ann.decide(call ?? '', 'approve', 'go on')
  await asked.result()
  await run(page, 0).locator('.chip', { hasText: 'completed' }).waitFor()
  await page.getByText('probe was called, approved by ann').first().waitFor()
  // What tools give is text, whatever it looks like.
  expect(await page.locator('.past-call').textContent()).toContain('<b>it</b>')

  // A run that is cancelled in its midst.
  ann
    .send('/demo count=5000 rate=150')
    .result()
    .catch(() => undefined)
  await when(ann, () => (ann.state.runs.get(ann.state.activeRun ?? '')?.next ?? 0) > 40)
  const cancelled = ann.state.activeRun ?? ''
  await ann.cancel()
  await run(page, 1).locator('.chip', { hasText: 'cancelled by ann' }).waitFor()

  // A run whose owner is killed, and taken over.
  const taken = ann.send('/demo count=60 rate=60')
  await when(ann, () => (ann.state.runs.get(ann.state.activeRun ?? '')?.next ?? 0) > 8)
  const restarted = ann.state.activeRun ?? ''
  await world.server.kill()
  await world.server.start()
  expect((await taken.result()).status).toBe('completed')
  await run(page, 2).locator('.chip', { hasText: 'completed' }).waitFor()
  await run(page, 2)
    .getByText(/Epoch 1 on node-a \(new\), then (after .* of silence )?Epoch 2 on node-a/)
    .first()
    .waitFor()
  await page.getByRole('status').filter({ hasText: 'Live' }).waitFor()
  await hasNoViolation(page)
  await page.screenshot({ path: `${ARTIFACTS}inspector.png` })

  // Back to the twenty-first token of the run that was cancelled.
  await page.getByRole('searchbox').fill(`${cancelled} 20:`)
  await page.locator('.entry', { hasText: 'text 20:' }).click()
  const past = answer(page, cancelled)
  const until = await steps('plans', cancelled)
  const text = (): Promise<string | null> => past.locator('.past-text').textContent()
  await expect.poll(text, PATIENT).toBe(until[20])
  expect(await past.getAttribute('data-status')).toBe('running')
  // What came later is not there yet.
  expect(await answer(page, restarted).count()).toBe(0)
  await expect.poll(() => page.locator('.details-json').textContent(), PATIENT).toContain('"index": 20')

  // By the keyboard: the slider goes on and back by one, and by ten.
  const slider = page.getByRole('slider', { name: 'Entry' })
  await slider.press('ArrowRight')
  await expect.poll(text, PATIENT).toBe(until[21])
  await slider.press('Shift+ArrowLeft')
  await expect.poll(text, PATIENT).toBe(until[11])
  await page.getByRole('button', { name: 'Forward' }).click()
  await expect.poll(text, PATIENT).toBe(until[12])
  await page.screenshot({ path: `${ARTIFACTS}inspector-past.png` })
  // The list of entries takes the focus along.
  await page.getByRole('searchbox').fill('')
  const current = page.locator('.entry[aria-current=true]')
  await current.focus()
  await current.press('ArrowDown')
  await expect.poll(text, PATIENT).toBe(until[13])
  await expect.poll(() => current.evaluate((row) => row === document.activeElement), PATIENT).toBe(true)
  await slider.press('Home')
  await page.getByText('Nothing had been said yet.').waitFor()
  // Played on, it ends where the log does.
  await page.getByRole('combobox', { name: 'Speed' }).selectOption('64')
  await page.getByRole('button', { name: 'Play' }).click()
  await expect.poll(() => page.locator('.place').textContent(), PATIENT).toMatch(/Entry (\d+) of \1 /)
  expect(await answer(page, restarted).getAttribute('data-status')).toBe('completed')

  // Who stands back is not taken along by what comes; who follows is.
  await slider.press('Home')
  await ann.send('/demo count=2 rate=0').result()
  await run(page, 3).waitFor({ state: 'attached' })
  await page.getByText('Nothing had been said yet.').waitFor()
  await page.getByRole('button', { name: 'Follow live' }).click()
  await page.locator('.past-answer[data-status=completed] .past-text', { hasText: /^0 1$/ }).waitFor()

  // Who reads: the program, and this page.
  await expect.poll(() => page.locator('.readers tbody tr').count(), PATIENT).toBe(2)
  const doors = await page.locator('.readers tbody tr td:nth-child(2)').allTextContents()
  expect(doors).toContain('ndjson')
})

it('says what the log does not know any more, to who comes later, in the dark and on a phone', async () => {
  const ann = await join('ann', 'later')
  await ann.send('/demo count=30 rate=0 reasoning=3').result()
  const page = await inspect('ann', 'later', 'dark')
  await page
    .getByText(/Rolled up: of \d+ of them the log keeps the whole, not when each came/)
    .first()
    .waitFor()
  await run(page, 0).getByText('Epoch 1 on node-a (new)').first().waitFor()
  await page.getByText('The log was rolled up here').waitFor()
  await hasNoViolation(page)
  await page.screenshot({ path: `${ARTIFACTS}inspector-dark.png` })
  await page.setViewportSize({ width: 390, height: 844 })
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390)
  // What scrolls now can be reached by the keyboard, once the browser has told of it.
  await page.locator('.readers-box[tabindex="0"]').waitFor()
  await hasNoViolation(page)
  await page.screenshot({ path: `${ARTIFACTS}inspector-phone.png`, fullPage: true })
})

/** Somebody on the way who keeps what comes by lines, and lets all else through. */
async function keeper(): Promise<string> {
  const box = createServer(({ url, headers }, response) => {
    if (headers.accept === 'application/x-ndjson') return
    get({ port: world.server.port, host: '127.0.0.1', path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
  })
  closing.push(() => {
    box.close()
    box.closeAllConnections()
  })
  await once(box.listen(0, '127.0.0.1'), 'listening')
  return `http://127.0.0.1:${(box.address() as AddressInfo).port}`
}

it('polls where somebody on the way keeps streams back, and reads the same', async () => {
  const ann = await join('ann', 'kept')
  await ann.send('/demo count=20 rate=500').result()
  const timeline = new Timeline('kept')
  const told: string[] = []
  const feed = new LogFeed({
    origin: await keeper(),
    session: 'kept',
    headers: () => ({ Authorization: `Bearer ${tokenOf('ann')}` }),
    beginMs: 100,
    events: {
      attached: (role) => told.push(role),
      entry: (frame) => {
        timeline.add(frame)
        return true
      },
      live: () => told.push('live'),
      lost: () => told.push('lost'),
      merges: () => told.push('merges'),
      refused: (refusal) => told.push(refusal.code),
    },
  })
  closing.push(() => feed.close())
  await expect.poll(() => told.includes('live'), PATIENT).toBe(true)
  expect(told.slice(0, 5)).toEqual(['lost', 'merges', 'lost', 'owner', 'live'])
  await ann.send('/demo count=20 rate=500').result()
  await expect
    .poll(() => [...timeline.head.runs.values()].map(({ text }) => text), PATIENT)
    .toEqual([...ann.state.runs.values()].map(({ text }) => text))
})

it('is found from the conversation, by its owner', async () => {
  const ann = await join('ann', 'found')
  await ann.send('/demo count=1 rate=0').result()
  const page = await visitor.context.newPage()
  await page.goto(`${world.site}?session=found#token=${tokenOf('ann')}`)
  await page.getByRole('button', { name: 'Connection' }).click()
  await page.getByRole('link', { name: 'Look into this session' }).click()
  await page.getByRole('status').filter({ hasText: 'Live' }).waitFor()
  await page.locator('.runs .chip', { hasText: 'completed' }).waitFor()
  await page.getByRole('link', { name: 'Conversation' }).click()
  await page.locator('.answer[data-status=completed]').waitFor()
})

it('shows as text whatever it finds in the log: words, names, titles, inputs, outputs and reasons', async () => {
  const harm = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script><a href="javascript:pwned=1">x</a>'
  const user = 'mal"><svg onload=pwned=1>'
  const mal = await join(user, 'harm', tokenOf(user, harm), harm)
  const page = await inspect(user, 'harm')
  await page.getByRole('status').filter({ hasText: 'Live' }).waitFor()
  const renamed = await fetch(`${world.site}v1/sessions/harm`, {
    method: 'PATCH',
    headers: { Authorization: `Bearer ${tokenOf(user)}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ title: harm }),
  })
  expect(renamed.status).toBe(204)
  const asked = mal.send(`/demo tool=probe input=${JSON.stringify({ [harm]: harm })} count=2 rate=0`)
  await page.locator('.past-call[data-status=deciding]').waitFor()
  const [call] = [...mal.state.calls.keys()]
  await mal.decide(call ?? '', 'approve', harm)
  await asked.result()
  await run(page, 0).locator('.chip', { hasText: 'completed' }).waitFor()
  for (const fold of await page.locator('summary').all()) await fold.click()

  const text = (await page.locator('body').textContent()) ?? ''
  // What was said, what the tool was given and gave, and who said it.
  expect(text.split('<script>window.pwned=1</script>').length).toBeGreaterThan(3)
  expect(text).toContain(user)
  const found = await page.evaluate(() => ({
    pwned: 'pwned' in window,
    elements: document.querySelectorAll('#root :is(img, script, iframe, [onerror], [onload], [href^=javascript])')
      .length,
  }))
  expect(found).toEqual({ pwned: false, elements: 0 })
})

it('shows nothing to others, and founds nothing', async () => {
  const ann = await join('ann', 'private')
  await ann.send('/demo count=1 rate=0').result()
  const refused = async (user: string, session: string, title: string): Promise<void> => {
    const page = await inspect(user, session)
    await page.getByRole('heading', { name: title }).waitFor()
    expect(await page.locator('.inspector').count()).toBe(0)
  }
  await refused('eve', 'private', 'Only for owners')
  await refused('eve', 'nowhere', 'There is no such session')
  // Nobody has become its owner by looking.
  await refused('ann', 'nowhere', 'There is no such session')

  const page = await inspect(undefined, 'private')
  await page.getByRole('heading', { name: 'Who are you?' }).waitFor()
  await hasNoViolation(page)
  await page.getByLabel('Token').fill(tokenOf('ann'))
  await page.getByRole('button', { name: 'Go on' }).click()
  await page.getByRole('status').filter({ hasText: 'Live' }).waitFor()
})
