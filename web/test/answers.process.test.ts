// How the page shows the output of models, users and tools: streaming Markdown, highlighted code and tool cards.
// Malicious content has no effect. In a real browser, with a real server and a scripted OpenAI-compatible model.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { LLMock } from '@copilotkit/aimock'
import { tool } from '@parley/client'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { LONG_BLOCKS, LONG_LINES, MALICIOUS, RICH, RIGHT_TO_LEFT, SCIENCE } from './answers.ts'
import { hasNoViolation } from './axe.ts'
import { type ChatTab, shoot } from './browser.ts'
import { PageWorld } from './page-world.ts'

const DIST = fileURLToPath(new URL('../dist/', import.meta.url))

const CODE = Array.from({ length: 60 }, (_, line) => `const name${line} = ${line} // ${line}`).join('\n')
const SLOW_CODE = `As [^1] says:\n\n\`\`\`ts\n${CODE}\n\`\`\`\n\n[^1]: A note.`

let mock: LLMock
let world: PageWorld

beforeAll(async () => {
  mock = new LLMock({ port: 0, host: '127.0.0.1', chunkSize: 6 })
  const fast = { streamingProfile: { ttft: 1, tps: 5_000, jitter: 0 } }
  mock.onMessage('rich and slow', { content: RICH }, { streamingProfile: { ttft: 1, tps: 80, jitter: 0 } })
  mock.onMessage('slow code', { content: SLOW_CODE }, { streamingProfile: { ttft: 1, tps: 60, jitter: 0 } })
  mock.onMessage('rich', { content: RICH }, fast)
  mock.onMessage('science', { content: SCIENCE }, fast)
  mock.onMessage('long lines', { content: LONG_LINES }, { ...fast, chunkSize: 500 })
  mock.onMessage('long blocks', { content: LONG_BLOCKS }, { ...fast, chunkSize: 300 })
  mock.onMessage('مرحبا', { content: RIGHT_TO_LEFT }, fast)
  mock.onMessage('pwned', { content: MALICIOUS.join('\n\n') }, fast)
  await mock.start()
  world = await PageWorld.start({
    PARLEY_MODEL: 'compatible:mock',
    PARLEY_MODELS: 'compatible:mock,demo',
    PARLEY_COMPATIBLE_URL: `${mock.url}/v1`,
    PARLEY_COMPATIBLE_KEY: 'k',
  })
})
afterEach(() => world.leave())
afterAll(async () => {
  await world.dispose()
  await mock.stop()
})

describe('an answer in Markdown', () => {
  it('renders while it grows, and does not change complete blocks', async () => {
    const tab = await (await world.come()).open(world.site)
    await tab.send('rich and slow')
    await tab.page.locator('.answer h3').first().waitFor()
    await tab.page.locator('.answer ol').waitFor()
    await tab.page.evaluate(() => {
      const changes: string[] = []
      Object.assign(window, { changes })
      const observer = new MutationObserver((records) => {
        for (const { target } of records) {
          const element = target instanceof Element ? target : target.parentElement
          const block = element?.closest('.text > *')
          // The list may still grow; the blocks before it are complete.
          if (block !== null && block !== undefined && block.nextElementSibling !== null && block.matches('h3, p')) {
            changes.push(block.textContent ?? '')
          }
        }
      })
      const text = document.querySelector('.answer .text')
      if (text === null) throw new Error('There is no text.')
      const first = [...text.children].slice(0, 2)
      for (const block of first) observer.observe(block, { subtree: true, childList: true, characterData: true })
    })
    // Tables and code blocks render as such while they grow.
    await tab.page.locator('.answer[data-status=running] table').waitFor()
    await tab.page.locator('.answer[data-status=running] .code-block').first().waitFor()
    await shoot(tab.page, 'answer-streaming')
    await tab.answer(0, 'completed')
    expect(await tab.page.evaluate(() => (window as unknown as { changes: string[] }).changes)).toEqual([])

    const answer = tab.page.locator('.answer')
    expect(await answer.locator('.text h3').allTextContents()).toEqual(['Reading a session', 'How to resume'])
    expect(await answer.locator('table tbody tr').count()).toBe(3)
    expect(await answer.locator('ol > li ul > li').count()).toBe(2)
    expect(
      await answer.locator('li.task input').evaluateAll((boxes) => boxes.map((box) => box.matches(':checked'))),
    ).toEqual([true, false])
    const link = answer.locator('a').first()
    expect(await link.getAttribute('href')).toBe('https://example.org/protocol')
    expect(await link.getAttribute('rel')).toContain('noopener')
    await answer.locator('.code .hljs-keyword').first().waitFor()
    expect(await answer.locator('.code code').first().textContent()).toContain('"tokens" <b>not</b> bytes\n')
  })

  it('keeps long blocks whole, while they grow and afterwards', async () => {
    const tab = await (await world.come()).open(world.site)
    await tab.send('long blocks')
    await tab.answer(0, 'completed')
    const text = tab.page.locator('.answer > .text')
    await text.locator('> p:last-child').getByText('结束').waitFor()
    const kinds = () => text.locator('> *').evaluateAll((blocks) => blocks.map(({ tagName }) => tagName))
    await expect.poll(kinds).toEqual(['DIV', 'OL', 'P'])
    await expect.poll(() => text.locator('table tbody tr').count()).toBe(400)
    expect(await text.locator('ol > li').count()).toBe(2)
    expect((await text.locator('ol .code').innerText()).trim().split('\n').length).toBe(400)
    expect(await text.locator('strong').allTextContents()).toEqual(['重点。', '然后'])
    expect(await text.locator('a').allTextContents()).toEqual(['https://example.org/a'])
  })

  it('has formulas, footnotes and line breaks in cells', async () => {
    const tab = await (await world.come()).open(world.site)
    await tab.send('science')
    await tab.answer(0, 'completed')
    const text = tab.page.locator('.answer > .text').first()
    await expect.poll(() => text.locator('.formula math').count()).toBe(5)
    expect(await text.locator('.formula.display math').count()).toBe(2)
    expect(await text.locator('.formula > code').allTextContents()).toEqual(['\\frac{'])
    expect(await text.locator('p').first().innerText()).toContain('$5 or $10')
    const [line, fraction] = await text
      .locator('.formula.display mfrac')
      .first()
      .evaluate((box) => [box.querySelector('mi, mn'), box].map((each) => each?.getBoundingClientRect().height ?? 0))
    expect(fraction).toBeGreaterThan(1.5 * (line ?? 0))
    expect(await text.locator('td').last().innerText()).toBe('one\ntwo')
    await hasNoViolation(tab.page)
    await text.locator('p').first().scrollIntoViewIfNeeded()
    await shoot(tab.page, 'answer-science')

    // A second answer has the same footnotes.
    await tab.send('science, again')
    await tab.answer(1, 'completed')
    const second = tab.page.locator('.answer > .text').nth(1)
    await second.locator('.footnotes li').waitFor()
    const ids = await tab.page.locator('[id]').evaluateAll((all) => all.map(({ id }) => id))
    expect(new Set(ids).size).toBe(ids.length)
    const address = tab.page.url()
    const hasFocus = (selector: string) =>
      expect
        .poll(() =>
          second
            .locator(selector)
            .last()
            .evaluate((own) => own === document.activeElement),
        )
        .toBe(true)
    await second.getByRole('link', { name: 'Footnote 1' }).last().click()
    await hasFocus('.footnotes li')
    expect(await second.locator('.footnotes li').innerText()).toContain('Proved by induction.')
    await second.getByRole('link', { name: 'Back to reference 2' }).click()
    await hasFocus('sup a')
    expect(tab.page.url()).toBe(address)
  })

  it('loads images of other hosts only after a click', async () => {
    const visitor = await world.come()
    const requested: string[] = []
    await visitor.context.route(/images\.example/, (route) => {
      requested.push(new URL(route.request().url()).pathname)
      const svg =
        '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="60"><rect width="300" height="60"/></svg>'
      return requested.at(-1) === '/gone.png'
        ? route.fulfill({ status: 404 })
        : route.fulfill({ body: svg, contentType: 'image/svg+xml' })
    })
    const tab = await visitor.open(world.site)
    await tab.send('science')
    await tab.answer(0, 'completed')
    const text = tab.page.locator('.answer > .text')
    const width = (name: string) =>
      text.getByRole('img', { name }).evaluate((image) => (image as HTMLImageElement).naturalWidth)
    await expect.poll(() => width('Our icon')).toBeGreaterThan(0)
    expect(requested).toEqual([])
    await hasNoViolation(tab.page)
    const show = text.getByRole('button', { name: 'Show image from images.example' })
    await show.first().click()
    await expect.poll(() => width('A chart')).toBe(300)
    expect(requested).toEqual(['/chart.svg'])
    await show.click()
    await text.getByText('Couldn’t load the image').waitFor()
    expect(await text.getByRole('link', { name: 'Gone' }).getAttribute('href')).toBe('https://images.example/gone.png')
    await shoot(tab.page, 'answer-images')
    visitor.excuse('404')
  })

  it('has the direction of its language in each block, and code from left to right', async () => {
    const tab = await (await world.come()).open(world.site)
    await tab.send('مرحبا')
    await tab.answer(0, 'completed')
    const direction = (selector: string) =>
      tab.page
        .locator(selector)
        .first()
        .evaluate((element) => getComputedStyle(element).direction)
    await expect.poll(() => direction('.answer .code-block')).toBe('ltr')
    for (const block of ['h3', 'p', 'ul', 'blockquote', 'table']) {
      expect([block, await direction(`.answer .text ${block}`)]).toEqual([block, 'rtl'])
    }
    expect(await direction('.answer .text p:has-text("English")')).toBe('ltr')
    expect(await direction('.answer .text p code')).toBe('ltr')
    expect(await direction('.bubble p')).toBe('rtl')
    expect(await direction('.page-header .title, .title')).toBe('rtl')
    const box = tab.page.getByRole('textbox', { name: 'Message' })
    await box.fill('שלום')
    expect(await box.evaluate((element) => getComputedStyle(element).direction)).toBe('rtl')
    // The text of each item is on the side on which it begins.
    const sides = await tab.page.locator('.answer li').evaluateAll((items) =>
      items.map((item) => {
        const range = document.createRange()
        range.selectNodeContents(item)
        const text = range.getBoundingClientRect()
        const all = item.getBoundingClientRect()
        return text.left - all.left > all.right - text.right ? 'right' : 'left'
      }),
    )
    expect(sides).toEqual(['right', 'left'])
  })

  // Every new token replaced the text nodes of a code block. Marks of footnotes appeared when the answer was complete.
  it('keeps a selection in growing code, and has marks of footnotes while it grows', async () => {
    const tab = await (await world.come()).open(world.site)
    await tab.send('slow code')
    const code = tab.page.locator('.answer code').first()
    await code.filter({ hasText: 'const name2 = 2' }).waitFor()
    await code.locator('.hljs-keyword').nth(2).waitFor()
    expect(await tab.page.locator('.answer sup').textContent()).toBe('1')
    await code.evaluate((element) => {
      const range = document.createRange()
      range.setStart(element, 0)
      range.setEnd(element, element.childNodes.length)
      const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT)
      let last: Node | null = null
      for (let node = texts.nextNode(); node !== null; node = texts.nextNode()) last = node
      if (last === null) throw new Error('There is no text.')
      document.getSelection()?.setBaseAndExtent(element, 0, last, last.textContent?.length ?? 0)
    })
    const selected = () => tab.page.evaluate(() => document.getSelection()?.toString() ?? '')
    const before = await selected()
    expect(before).toContain('const name0')
    expect(await tab.page.locator('.answer').getAttribute('data-status')).toBe('running')
    await code.filter({ hasText: 'name40 = 40' }).waitFor()
    expect(await selected()).toBe(before)
    await tab.answer(0, 'completed')
    expect(await selected()).toBe(before)
    // The rest gets its colors when the selection is gone.
    await tab.page.evaluate(() => document.getSelection()?.removeAllRanges())
    await expect.poll(() => code.locator('.hljs-keyword').count(), { timeout: 20_000 }).toBe(60)
    expect(await code.textContent()).toBe(CODE)
    await tab.page.getByRole('link', { name: 'Footnote 1' }).waitFor()
  })

  it('does not move earlier blocks while it grows', async () => {
    const tab = await (await world.come()).open(world.site)
    // In each frame, compare the position of each block in the answer with the previous one.
    await tab.page.evaluate(() => {
      const moves: string[] = []
      const tops: number[] = []
      Object.assign(window, { moves, tops })
      const look = (): void => {
        const blocks = document.querySelectorAll<HTMLElement>('.answer .text > *')
        const origin = blocks[0]?.parentElement?.getBoundingClientRect().top ?? 0
        for (const [at, block] of blocks.entries()) {
          const top = Math.round(block.getBoundingClientRect().top - origin)
          if (tops[at] !== undefined && Math.abs(top - tops[at]) > 1)
            moves.push(`${block.tagName} ${at}: ${tops[at]} to ${top}`)
          tops[at] = top
        }
        requestAnimationFrame(look)
      }
      look()
    })
    await tab.send('rich and slow')
    await tab.answer(0, 'completed')
    const seen = await tab.page.evaluate(() => {
      const { moves, tops } = window as unknown as { moves: string[]; tops: number[] }
      return { moves, tops }
    })
    expect(seen.moves).toEqual([])
    expect(seen.tops.length).toBeGreaterThan(9)
  })

  it('can be copied as Markdown, and its code blocks as code', async () => {
    const visitor = await world.come({ permissions: ['clipboard-read', 'clipboard-write'] })
    const tab = await visitor.open(world.site)
    await tab.send('rich')
    await tab.answer(0, 'completed')
    const clipboard = () => tab.page.evaluate(() => navigator.clipboard.readText())
    await tab.page.getByRole('button', { name: 'Copy code' }).first().click()
    await tab.page.getByText('Copied').waitFor()
    expect(await clipboard()).toMatch(/^\/\/ Reads a session.*\}$/s)
    await tab.page.getByRole('button', { name: 'Copy answer' }).click()
    await expect.poll(clipboard).toBe(RICH)
  })
})

describe('malicious content', () => {
  it('has no effect in messages, answers and tool results', async () => {
    const visitor = await world.come()
    const tab = await visitor.open(world.site)
    const requested: string[] = []
    await visitor.context.route(/tracker\.example|example\.org/, (route) => {
      requested.push(route.request().url())
      return route.abort()
    })
    await tab.send(`pwned\n${MALICIOUS.join('\n\n')}`)
    await tab.answer(0, 'completed')
    const evil = tool({
      name: 'evil',
      approval: true,
      execute: () => ({ html: MALICIOUS, long: 'x'.repeat(20_000) }),
    })
    const session = await world.join(tab.session, [evil])
    session.send(`/demo tool=evil input=${JSON.stringify({ text: MALICIOUS })} count=2 rate=0`, { model: 'demo' })
    await tab.page.getByRole('textbox', { name: 'Reason' }).fill(MALICIOUS[1] ?? '')
    await tab.page.getByRole('button', { name: 'Approve' }).click()
    await tab.page.locator('.answer').last().and(tab.page.locator('[data-status=completed]')).waitFor()
    await tab.page.locator('.tool-decision').getByText(`Approved: ${MALICIOUS[1]}`).waitFor()
    for (const summary of await tab.page.locator('.tool summary').all()) await summary.click()

    expect(await tab.page.locator('.tool').textContent()).toContain('<script>window.pwned = 1</script>')
    await hasNoEffect(tab)
    // The first answer is scrolled out of view, and may be unmounted.
    await tab.page.getByRole('region', { name: 'Conversation' }).focus()
    await tab.page.keyboard.press('Home')
    await tab.page.locator('.answer').first().getByText('<script>window.pwned = 1</script>').first().waitFor()
    await hasNoEffect(tab)
    expect(requested).toEqual([])

    // The list of chats shows the first message.
    await tab.page.getByRole('button', { name: 'Chats' }).click()
    await tab.page.locator('dialog .session-title').getByText('pwned <script>').waitFor()
    expect(await tab.page.evaluate(() => 'pwned' in window)).toBe(false)
  })

  it('does not widen the page with long lines', async () => {
    const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }
    const tab = await (await world.come(phone)).open(world.site)
    await tab.send('long lines')
    await tab.answer(0, 'completed')
    expect(await tab.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)).toBeLessThanOrEqual(
      0,
    )
  })
})

describe('the page with all its cards', () => {
  it.each([
    ['dark', { colorScheme: 'dark' as const, viewport: { width: 1_280, height: 900 } }],
    ['phone', { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }],
  ])('is accessible: %s', async (name, options) => {
    const tab = await (await world.come(options)).open(world.site)
    await tab.status('Live')
    await hasNoViolation(tab.page)
    await tab.send('rich')
    await tab.answer(0, 'completed')
    await tab.page.locator('.answer .code .hljs-keyword').first().waitFor()
    await hasNoViolation(tab.page)
    await shoot(tab.page, `answer-${name}`)
    await tab.page.getByRole('region', { name: 'Conversation' }).focus()
    await tab.page.keyboard.press('Home')
    await tab.page.locator('.text h3').first().waitFor()
    await shoot(tab.page, `answer-top-${name}`)

    const gate = tool({ name: 'open_gate', approval: true, timeoutMs: 180_000, execute: () => ({ opened: true }) })
    const broken = tool({
      name: 'broken',
      execute: () => {
        throw new Error('The tool failed.')
      },
    })
    const session = await world.join(tab.session, [gate, broken])
    const demo = (text: string) => session.send(`/demo ${text} rate=0`, { model: 'demo' })
    await demo('fail=3').result()
    demo('reasoning=8 tool=open_gate input={"gate":"back"} tool=broken input={} count=3')
    await tab.page.getByRole('button', { name: 'Deny' }).waitFor()
    demo('tool=open_gate input={"gate":"front","why":"somebody rings","who":["Ada","Bob"],"times":3} count=3')
    await tab.page.getByRole('textbox', { name: 'Reason' }).fill('Not at night')
    await tab.page.getByRole('button', { name: 'Deny' }).click()
    await tab.page.locator('.tool-decision').getByText('Denied: Not at night').waitFor()
    await tab.page.locator('.tool[data-status=deciding]').waitFor()
    await tab.page.locator('.reasoning summary').click()
    await expect.poll(() => tab.page.locator('.reasoning .text').count()).toBe(1)
    await hasNoViolation(tab.page)
    await tab.page.locator('.tool-decision').hover()
    await shoot(tab.page, `cards-decided-${name}`)
    await tab.page.getByRole('button', { name: 'Jump to latest' }).click()
    await tab.page.locator('.tool[data-status=deciding]').waitFor()
    await hasNoViolation(tab.page)
    await shoot(tab.page, `cards-${name}`)
    if (name !== 'phone') return
    await tab.page.getByRole('button', { name: 'Chats' }).click()
    await tab.page.getByRole('dialog').waitFor()
    await hasNoViolation(tab.page)
    await shoot(tab.page, `sessions-${name}`)
  })
})

describe('the built page', () => {
  it('stays within its size limits, for the first load and in total', async () => {
    expect(existsSync(DIST)).toBe(true)
    // The inspector is a separate page.
    const files = readdirSync(DIST, { recursive: true, encoding: 'utf8' }).filter(
      (path) => /\.(js|css|html|svg)$/.test(path) && !path.includes('inspect'),
    )
    const total = files.reduce((sum, path) => sum + gzipSync(readFileSync(DIST + path)).length, 0)
    expect(files.length).toBeGreaterThan(4)
    expect(total).toBeLessThan(370_000)

    // The first load. The workers, and the codec of other clients, load on demand.
    const { page } = await (await world.come()).open(world.site)
    await page.getByRole('status').filter({ hasText: 'Live' }).waitFor()
    const loaded = await page.evaluate(() => {
      const entries = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
      return (entries as PerformanceResourceTiming[]).map(({ name, encodedBodySize, decodedBodySize }) => ({
        name,
        encodedBodySize,
        decodedBodySize,
      }))
    })
    const sum = (key: 'encodedBodySize' | 'decodedBodySize') => loaded.reduce((total, entry) => total + entry[key], 0)
    expect(sum('decodedBodySize')).toBeGreaterThan(200_000)
    expect(sum('encodedBodySize')).toBeLessThan(170_000)
  })
})

/** Points at and clicks every element, and expects no effect. */
async function hasNoEffect(tab: ChatTab): Promise<void> {
  const found = await tab.page.evaluate(() => {
    for (const element of document.querySelectorAll('main :is(a, span, code, td, th, p, li, summary)')) {
      element.dispatchEvent(new MouseEvent('mouseover', { bubbles: true }))
      if (!element.matches('a[href], summary')) element.dispatchEvent(new MouseEvent('click', { bubbles: true }))
    }
    const count = (selector: string): number => document.querySelectorAll(`main :is(${selector})`).length
    const isHandler = (name: string): boolean => name.startsWith('on') || name === 'srcdoc'
    return {
      pwned: 'pwned' in window,
      elements: count('script, img, iframe, object, embed, style, form, svg [onload]'),
      handlers: [...document.querySelectorAll('main *')].filter((each) => each.getAttributeNames().some(isHandler))
        .length,
      links: [...document.querySelectorAll('main a:not(.jump)')].map((link) => (link as HTMLAnchorElement).protocol),
    }
  })
  const { links, ...effects } = found
  expect(effects).toEqual({ pwned: false, elements: 0, handlers: 0 })
  expect(links.filter((protocol) => protocol !== 'https:')).toEqual([])
}
