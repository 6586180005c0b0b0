// The chat page in a real browser, with a real server in a separate process.
import { tool } from '@parley/client'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { hasNoViolation } from './axe.ts'
import { shoot } from './browser.ts'
import { PageWorld } from './page-world.ts'

let world: PageWorld

beforeAll(async () => {
  world = await PageWorld.start({ PARLEY_CONTEXT_TOKENS: '20000' })
})
afterEach(() => world.leave())
afterAll(() => world.dispose())

/** The answer to `/demo count=N`. */
function numbers(count: number): string {
  return Array.from({ length: count }, (_, index) => index).join(' ')
}

describe('the chat page', () => {
  it('puts a new session into its address, and streams the exact text', async () => {
    const tab = await (await world.come()).open(world.site)
    await tab.status('Live')
    expect(tab.session).toMatch(/^ses_[0-9a-z]+$/)
    await tab.send('/demo count=60 rate=60')
    await tab.page.locator('.answer[data-status=running]').filter({ hasText: '0 1 2 3' }).waitFor()
    expect(await tab.answer(0, 'completed')).toBe(numbers(60))
  })

  it('stops an answer and marks it as unfinished', async () => {
    const tab = await (await world.come()).open(world.site)
    await tab.send('/demo count=2000 rate=50')
    await tab.streams(0, '0 1 2 3')
    await tab.page.getByRole('button', { name: 'Stop' }).click()
    const text = await tab.answer(0, 'cancelled')
    expect(numbers(2000).startsWith(text)).toBe(true)
    await tab.page.locator('.answer.unfinished').getByText('Stopped').waitFor()
    // For another client the answer ends at the same word.
    const { state } = await world.join(tab.session)
    expect([...state.runs.values()].map((run) => run.text)).toEqual([text])
    expect(await tab.text(0)).toBe(text)
  })

  it('interrupts a streaming answer with a new message', async () => {
    const tab = await (await world.come()).open(world.site)
    await tab.send('/demo count=2000 rate=50')
    await tab.streams(0, '0 1 2 3')
    await tab.send('/demo count=5 rate=0')
    expect(numbers(2000).startsWith(await tab.answer(0, 'superseded'))).toBe(true)
    expect(await tab.answer(1, 'completed')).toBe(numbers(5))
  })

  it('queues a message until the answer ends, if the user chooses so', async () => {
    const tab = await (await world.come()).open(world.site)
    await tab.send('/demo count=60 rate=40')
    await tab.streams(0, '0 1 2 3')
    await tab.page.getByRole('radio', { name: 'Queue' }).check()
    await tab.send('/demo count=5 rate=0')
    await tab.page.getByText('Queued').waitFor()
    expect(await tab.answer(1, 'completed')).toBe(numbers(5))
    expect(await tab.answer(0, 'completed')).toBe(numbers(60))
  })

  it('resumes an answer after a reload, and in a second tab', async () => {
    const visitor = await world.come()
    const tab = await visitor.open(world.site)
    await tab.send('/demo count=120 rate=60')
    await tab.streams(0, '0 1 2 3')
    const address = tab.page.url()
    const other = await visitor.open(address)
    await tab.page.reload()
    expect(await tab.answer(0, 'completed')).toBe(numbers(120))
    expect(await other.answer(0, 'completed')).toBe(numbers(120))
    expect(tab.page.url()).toBe(address)
  })

  it('resumes an answer after the server was killed, and sends an offline message once', async () => {
    const tab = await (await world.come()).open(world.site)
    await tab.send('/demo count=150 rate=50')
    await tab.streams(0, '0 1 2 3')
    await world.server.kill()
    await tab.page.locator('.badge.lost').waitFor()
    await tab.page.getByRole('radio', { name: 'Queue' }).check()
    await tab.send('/demo count=7 rate=0')
    await tab.page.getByText('Will be sent when you reconnect').waitFor()
    await world.server.start()
    expect(await tab.answer(0, 'completed')).toBe(numbers(150))
    expect(await tab.answer(1, 'completed')).toBe(numbers(7))
    await tab.status('Live')
    expect(await tab.page.locator('.message').count()).toBe(2)
    const { state } = await world.join(tab.session)
    expect(state.messages.map((message) => message.text)).toEqual(['/demo count=150 rate=50', '/demo count=7 rate=0'])
  })

  it('runs its tool, and shows the call with its result', async () => {
    const tab = await (await world.come()).open(world.site)
    await tab.send('/demo tool=local_time input={} count=3 rate=0')
    const text = await tab.answer(0, 'completed')
    expect(text.endsWith('\n0 1 2')).toBe(true)
    const card = tab.page.locator('.tool[data-status=completed]')
    expect(await card.getByRole('heading').textContent()).toBe('local_time')
    await card.getByText('Ran in this tab').waitFor()
    const { iso } = JSON.parse(text.split('\n')[0] ?? '') as { iso: string }
    expect(await card.textContent()).toContain(iso)
  })

  it('asks for approval of another device’s tool call, and shows the decision', async () => {
    const visitor = await world.come()
    await visitor.setClockWrong(3_600_000)
    const tab = await visitor.open(world.site)
    await tab.status('Live')
    const opened: unknown[] = []
    const gate = tool({ name: 'open_gate', approval: true, execute: (input) => opened.push(input) })
    await world.join(tab.session, [gate])
    await tab.send('/demo tool=open_gate input={"gate":"front"} count=3 rate=0')
    await tab.page.getByText('Waiting for approval').waitFor()
    // By the clock of this device, the approval would have expired.
    await tab.page.getByText(/^Expires in \d+:\d\d$/).waitFor()
    expect(opened).toEqual([])
    await tab.page.getByRole('button', { name: 'Approve' }).click()
    await tab.answer(0, 'completed')
    expect(opened).toEqual([{ gate: 'front' }])
    const card = tab.page.locator('.tool')
    expect(await card.textContent()).toContain('Approved')
    expect(await card.textContent()).toContain('Ran on another device')

    await tab.send('/demo tool=open_gate input={"gate":"back"} count=3 rate=0')
    await tab.page.getByRole('button', { name: 'Deny' }).click()
    await tab.answer(1, 'completed')
    await card.nth(1).getByText('Denied').first().waitFor()
    expect(opened).toEqual([{ gate: 'front' }])
  })

  it('shows the form of a tool that asks, and the answer', async () => {
    const visitor = await world.come()
    const tab = await visitor.open(world.site)
    await tab.status('Live')
    await tab.send('/demo tool=demo_form input={} count=3 rate=0')
    await tab.page.getByText('Waiting for your answer').waitFor()
    const form = tab.page.getByRole('region', { name: 'Question of demo_form' })
    await hasNoViolation(tab.page)
    await form.getByLabel('Size').selectOption('Large')
    await form.getByLabel('Basil').check()
    await form.getByLabel('Olives').check()
    await form.getByLabel('Capers').check()
    await form.getByLabel('Name').fill('Ada')
    await form.getByRole('button', { name: 'Submit' }).click()
    await form.getByText('toppings must have at most 2 choices').waitFor()
    await form.getByLabel('Capers').uncheck()
    await form.getByRole('button', { name: 'Submit' }).click()
    const text = await tab.answer(0, 'completed')
    const content = { size: 'l', toppings: ['Basil', 'Olives'], count: 1, name: 'Ada', spicy: false }
    expect(JSON.parse(text.split('\n')[0] ?? '')).toEqual({ action: 'accept', content, by: 'anonymous' })
    await form.getByText('Answered: Size: Large; Toppings: Basil, Olives; How many?: 1; Name: Ada').waitFor()

    await tab.send(
      '/demo tool=demo_form input={"message":"Sure?","schema":{"type":"object","properties":{}}} count=3 rate=0',
    )
    await tab.page.getByText('Sure?').last().waitFor()
    await tab.page.getByRole('button', { name: 'Decline' }).click()
    await expect.poll(() => tab.answer(1, 'completed'), { timeout: 20_000 }).toContain('"action":"decline"')
  })

  it('shows why an answer failed', async () => {
    const tab = await (await world.come()).open(world.site)
    await tab.send('/demo fail=3 rate=0')
    expect(await tab.answer(0, 'failed')).toBe('0 1 2')
    await tab.page.locator('.note.failed').getByText('(provider_error)').waitFor()
  })

  it('shows what the model did not get', async () => {
    const tab = await (await world.come()).open(world.site)
    await tab.send(`/demo count=1 rate=0\n${'word '.repeat(20_000)}`)
    await tab.answer(0, 'completed')
    await tab.send('/demo count=2 rate=0')
    expect(await tab.answer(1, 'completed')).toBe('0 1')
    await tab.page.locator('.notice').getByText('1 earlier turn was not sent').waitFor()
  })

  it('says that an answer has reached its token limit, and asks for the rest', async () => {
    const tab = await (await world.come()).open(world.site)
    await tab.status('Live')
    const session = await world.join(tab.session)
    session.send('/demo count=50 rate=0', { context: { sampling: { maxOutputTokens: 5 } } })
    await tab.page.locator('.answer .note').getByText('Stopped at the limit of 5 tokens').waitFor()
    await shoot(tab.page, 'answer-cut')
    await tab.page.getByRole('button', { name: 'Continue', exact: true }).click()
    await tab.answerTo('Continue', 'completed')
    expect(await tab.page.getByRole('button', { name: 'Continue', exact: true }).count()).toBe(0)
  })

  it('shows HTML in messages as text', async () => {
    const tab = await (await world.come()).open(world.site)
    const text = '/demo count=1\n<img src=x onerror="document.title=1"> & <b>bold</b>'
    await tab.send(text)
    await tab.answer(0, 'completed')
    expect(await tab.page.locator('.bubble p').first().textContent()).toBe(text)
    expect(await tab.page.locator('.bubble img, .bubble b, .answer img').count()).toBe(0)
  })

  it('connects to its own server by WebSocket, and its content security policy blocks other servers', async () => {
    const visitor = await world.come()
    const tab = await visitor.open(world.site)
    await tab.status('Live')
    expect(await tab.page.locator('.badge').textContent()).not.toContain('over')
    expect(visitor.sockets.count).toBe(1)
    await tab.page.evaluate(async () => {
      try {
        new WebSocket('ws://127.0.0.2:8787/')
      } catch {
        // Firefox throws; Chromium reports an error later.
      }
      await fetch('http://127.0.0.2:8787/').catch(() => undefined)
    })
    const violation = (scheme: string) => `policy violated: connect-src by ${scheme}://127.0.0.2:8787/`
    for (const scheme of ['ws', 'http']) {
      await expect.poll(() => visitor.problems.some((problem) => problem.includes(violation(scheme)))).toBe(true)
    }
    visitor.excuse('127.0.0.2:8787')
  })

  it('does not change earlier answers while one streams', async () => {
    const tab = await (await world.come()).open(world.site)
    await tab.send('/demo count=20 rate=0')
    await tab.answer(0, 'completed')
    await tab.send('/demo count=60 rate=60')
    await tab.streams(1, '0 1')
    await tab.page.evaluate(() => {
      const first = document.querySelector('.turn')
      if (first === null) throw new Error('There is no turn.')
      const changes = { count: 0 }
      Object.assign(window, { changes })
      const observer = new MutationObserver((records) => {
        changes.count += records.length
      })
      observer.observe(first, { subtree: true, childList: true, characterData: true, attributes: true })
    })
    await tab.answer(1, 'completed')
    expect(await tab.page.evaluate(() => (window as unknown as { changes: { count: number } }).changes.count)).toBe(0)
  })

  it('stays at the end while an answer grows, until the user scrolls up, and jumps to the latest', async () => {
    const tab = await (await world.come({ viewport: { width: 400, height: 500 } })).open(world.site)
    await tab.send('/demo count=1200 rate=0')
    await tab.answer(0, 'completed')
    await tab.send('/demo count=5000 rate=150')
    // The only one that is in the page for sure: the list soon removes the first answer.
    await tab.page.locator('.answer[data-status=running] > .text').filter({ hasText: '0 1 2' }).waitFor()
    const box = tab.page.getByRole('region', { name: 'Conversation' })
    const jump = tab.page.getByRole('button', { name: 'Jump to latest' })
    await expect.poll(() => tab.below()).toBeLessThan(2)
    // Each time: an answer that grows meanwhile must not stop the animation of the scroll.
    for (let turn = 0; turn < 3; turn += 1) {
      await box.focus()
      await tab.page.keyboard.press('PageUp')
      await jump.waitFor()
      await expect.poll(() => tab.below()).toBeGreaterThan(100)
      await jump.click()
      await jump.waitFor({ state: 'detached' })
      await box.hover()
      await tab.page.mouse.wheel(0, -600)
      await jump.waitFor()
      await expect.poll(() => tab.below()).toBeGreaterThan(500)
      if (turn === 2) break
      await jump.click()
      await jump.waitFor({ state: 'detached' })
    }
    const place = await box.evaluate((element) => element.scrollTop)
    const below = await tab.below()
    await expect.poll(() => tab.below()).toBeGreaterThan(below + 100)
    expect(await box.evaluate((element) => element.scrollTop)).toBe(place)
    await jump.click()
    await jump.waitFor({ state: 'detached' })
    await tab.page.getByRole('button', { name: 'Stop' }).click()
    await tab.page.locator('.answer[data-status=cancelled]').waitFor()
    expect(await tab.below()).toBeLessThan(2)
  })

  it('reacts to the pointer while an answer grows', async () => {
    const tab = await (await world.come({ viewport: { width: 400, height: 500 } })).open(world.site)
    await tab.send('/demo count=400 rate=0')
    await tab.answer(0, 'completed')
    await tab.send('/demo count=400 rate=200')
    await tab.streams(1, '0 1 2')
    // In each frame of one second, whether a pointer in the middle of the box would hit a turn.
    const hits = await tab.page.evaluate(async () => {
      const box = document.querySelector('.conversation-box')?.getBoundingClientRect()
      if (box === undefined) throw new Error('There is no conversation.')
      const frames: boolean[] = []
      for (const end = performance.now() + 1_000; performance.now() < end; ) {
        await new Promise((resolve) => requestAnimationFrame(resolve))
        const under = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)
        frames.push(under?.closest('.turn') !== null)
      }
      return frames
    })
    expect(hits.length).toBeGreaterThan(3)
    expect(hits.filter((hit) => !hit)).toEqual([])
  })

  it('does not scroll while a button is pressed, even if the conversation grows', async () => {
    const tab = await (await world.come({ viewport: { width: 400, height: 500 } })).open(world.site)
    await tab.status('Live')
    const gate = tool({ name: 'open_gate', approval: true, execute: () => 'opened' })
    const session = await world.join(tab.session, [gate])
    session.send('/demo tool=open_gate input={"why":"somebody rings"} count=3 rate=0')
    const deny = tab.page.getByRole('button', { name: 'Deny' })
    await deny.hover()
    await tab.page.mouse.down()
    session.send('/demo count=300 rate=0')
    await tab.page.getByText('/demo count=300').waitFor({ state: 'attached' })
    await tab.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))))
    await tab.page.mouse.up()
    await tab.answer(1, 'completed')
    await tab.page.locator('.tool-decision').getByText('Denied').waitFor({ state: 'attached' })
    await expect.poll(() => tab.below()).toBeLessThan(2)
  })

  it('starts a new chat, and returns to the previous one', async () => {
    const tab = await (await world.come()).open(world.site)
    await tab.send('/demo count=3 rate=0')
    await tab.answer(0, 'completed')
    const first = tab.session
    await tab.page.getByRole('button', { name: 'New chat' }).click()
    await tab.page.getByText('Start a conversation').waitFor()
    expect(tab.session).not.toBe(first)
    await tab.page.goBack()
    expect(await tab.answer(0, 'completed')).toBe('0 1 2')
    expect(tab.session).toBe(first)
  })

  it('works by keyboard alone, and announces the end of an answer to screen readers', async () => {
    const tab = await (await world.come()).open(world.site)
    await tab.status('Live')
    const { keyboard } = tab.page
    // The composer has the focus from the start.
    await keyboard.type('/demo count=2000')
    await keyboard.press('Shift+Enter')
    await keyboard.type('rate=50')
    await keyboard.press('Enter')
    await tab.streams(0, '0 1 2 3')
    await keyboard.press('Tab')
    await keyboard.press('ArrowRight')
    expect(await tab.page.getByRole('radio', { name: 'Queue' }).isChecked()).toBe(true)
    await keyboard.press('Tab')
    await keyboard.press('Enter')
    await tab.answer(0, 'cancelled')
    const log = tab.page.getByRole('log')
    await log.getByText('Stopped').waitFor({ state: 'attached' })
    const box = tab.page.getByRole('textbox', { name: 'Message' })
    expect(await box.evaluate((element) => element === document.activeElement)).toBe(true)
    expect(await tab.page.locator('.bubble').textContent()).toBe('/demo count=2000\nrate=50')
  })

  it.each([
    ['light', { colorScheme: 'light' as const }],
    ['dark', { colorScheme: 'dark' as const }],
    ['phone', { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }],
  ])('fits the window: %s', async (name, options) => {
    const tab = await (await world.come(options)).open(world.site)
    await tab.send('/demo tool=local_time input={} count=3 reasoning=8 rate=0')
    await tab.answer(0, 'completed')
    await tab.send('/demo count=400 rate=60')
    await tab.streams(1, '0 1 2 3 4 5 6 7 8 9')
    await tab.send('/demo count=400 rate=60 reasoning=3')
    await tab.streams(2, '0 1 2 3 4 5 6 7 8 9')
    const overflow = await tab.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
    expect(overflow).toBeLessThanOrEqual(0)
    await shoot(tab.page, `chat-page-${name}`)
  })
})
