// Hostile answers, most of 64 kB: the page stays, shows all their text, and no task of its main thread takes long. A trace of
// each takes seconds, so that `npm test` tries a few, and `npm run test:chaos` all.
import { join } from 'node:path'
import { LLMock } from '@copilotkit/aimock'
import type { Event } from '@parley/protocol'
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openLmdbStores } from '../../server/store/lmdb/stores.ts'
import type { SessionLog } from '../../server/store/ports/session-log.ts'
import { isFirefox } from './browser.ts'
import { AROUND, LAST, TWO_DIRECTIONS } from './hostile-answers.ts'
import { longestTask } from './longest-task.ts'
import { PageWorld } from './page-world.ts'

/** Milliseconds of CPU time that one task may take on a machine that does nothing else. */
const TASK_MS = 200
/** The hypervisor may run other machines on a core while a task runs, which counts as its CPU time. */
const TRIES = 3

/** In Firefox, the time of other processes counts, too. A page that freezes does so for seconds. */
const FIREFOX_MS = 1_000

let mock: LLMock
let world: PageWorld

const session = (name: string): string => name.replaceAll(/\W/g, '_')

type Answers = Readonly<Record<string, string>>
type Kinds = Readonly<Partial<Record<'slow' | 'random' | 'growing', Answers>>>

/**
 * @param formatted - by name, answers that the page formats
 * @param slow - answers that may stay plain text
 * @param random - answers of which nothing is known
 * @param growing - answers that stream
 * @param busyMs - CPU time that one task may take
 */
export function testHostileAnswers(
  { formatted, slow = {}, random = {}, growing = {} }: Readonly<Record<'formatted', Answers>> & Kinds,
  busyMs = TASK_MS,
): void {
  const taskMs = isFirefox ? FIREFOX_MS : busyMs
  beforeAll(async () => {
    mock = new LLMock({ port: 0, host: '127.0.0.1', chunkSize: 3 })
    const streamingProfile = { ttft: 1, tps: 2_000, jitter: 0 }
    for (const [name, text] of Object.entries(growing)) {
      mock.onMessage(name, { content: `${text}\n\n${LAST}` }, { streamingProfile })
    }
    await mock.start()
    const env = { PARLEY_MODEL: 'compatible:mock', PARLEY_COMPATIBLE_URL: `${mock.url}/v1`, PARLEY_COMPATIBLE_KEY: 'k' }
    world = await PageWorld.start(env, async (server) => {
      const stores = await openLmdbStores({ path: join(server.data, 'data') })
      const appends = Object.entries({ ...formatted, ...slow, ...random }).map(async ([name, text]) => {
        const around = AROUND.has(name) ? text : undefined
        await stores.log.append(session(name), 'in.m', question(around), 0)
        if (around !== undefined) await appendCalls(stores.log, session(name), around)
        await stores.log.append(session(name), 'run.r', answer(`${text}\n\n${LAST}`), 0)
      })
      await Promise.all(appends)
      await stores.close()
    })
  })
  afterEach(() => world.leave())
  afterAll(async () => {
    await world.dispose()
    await mock.stop()
  })

  describe('an answer', () => {
    it.each(Object.keys(formatted))('with %s is formatted, and no task takes long', async (name) => {
      const longest = await trace(name, async (page) => {
        const last = page.locator('.answer .text > p:last-child')
        await last.filter({ hasText: new RegExp(`^${LAST}$`) }).waitFor({ timeout: 60_000 })
      })
      expect(longest).toBeLessThan(taskMs)
    })

    it.each(Object.keys(slow))('with %s is plain text meanwhile, and no task takes long', async (name) => {
      const longest = await trace(name, (page) => page.locator('.answer .text').getByText(LAST).waitFor())
      expect(longest).toBeLessThan(taskMs)
    })

    it.each(Object.keys(random))('with %s is formatted or plain text, and no task takes long', async (name) => {
      const longest = await trace(name, async (page) => {
        await page.locator('.answer .text:not([aria-busy=true])').waitFor({ timeout: 60_000 })
        await settled(page)
        expect(await page.locator('.answer .text').textContent()).toContain(LAST)
      })
      expect(longest).toBeLessThan(taskMs)
    })
  })

  // Its parts, as blocks, would be lines of what is copied.
  it.each(Object.keys(formatted).filter((name) => name === TWO_DIRECTIONS))('%s is copied as it is', async (name) => {
    const { page } = await (await world.come()).open(`${world.site}?session=${session(name)}`)
    const word = page.locator('.answer .text > p:first-child')
    await expect.poll(() => word.textContent()).toBe(formatted[name])
    await word.evaluate((element) => document.getSelection()?.selectAllChildren(element))
    expect(await page.evaluate(() => document.getSelection()?.toString())).toBe(formatted[name])
  })

  it.each(Object.keys(growing))(
    'an answer that %s as it grows is formatted at its end, and no task takes long',
    async (name) => {
      const longest = await trace(undefined, async (page) => {
        await page.getByRole('textbox', { name: 'Message' }).fill(name)
        await page.getByRole('textbox', { name: 'Message' }).press('Enter')
        await page.locator('.answer[data-status=completed]').waitFor({ timeout: 60_000 })
        await page.locator('.answer .text > p:last-child').getByText(LAST, { exact: true }).waitFor()
      })
      expect(longest).toBeLessThan(taskMs)
    },
  )

  describe('a turn that fails to render', () => {
    it('is shown as plain text, and the rest of the page works', async () => {
      const [name = ''] = Object.keys(formatted)
      const visitor = await world.come()
      await visitor.context.addInitScript(() => {
        Date.prototype.toISOString = () => {
          throw new RangeError('The test breaks the times of messages.')
        }
      })
      const tab = await visitor.open(`${world.site}?session=${session(name)}`)
      await tab.page.locator('.turn .bubble').getByText('Question').waitFor()
      await tab.page.locator('.answer').getByText(LAST).waitFor()
      await tab.page.getByText('This turn is shown as plain text.').waitFor()
      await tab.page.getByRole('textbox', { name: 'Message' }).fill('The page still works.')
      visitor.excuse('The test breaks the times of messages.')
    })
  })
}

function question(text = 'Question'): Event {
  const content = [{ type: 'text' as const, text }]
  return { type: 'message', id: 'm', role: 'user', author: 'anonymous', content, policy: 'queue', run: 'r' }
}

/** A tool call that fails with this text, and one that returns it. */
async function appendCalls(log: SessionLog, id: string, text: string): Promise<void> {
  const call = { type: 'tool.called', run: 'r', name: 'look', input: text, where: 'server', approval: false } as const
  for (const name of ['failed', 'returned']) {
    const subject = `tool.${name}` as const
    const result = name === 'failed' ? { error: text } : { output: text }
    const called = { ...call, call: name, attempt: 1, until: 0, step: 0 }
    const { seq } = await log.append(id, subject, called, 0)
    await log.append(id, subject, { type: 'tool.result', run: 'r', call: name, by: 'server', ...result }, seq)
  }
}

function answer(text: string): Event {
  const output = [{ type: 'text' as const, text, index: 0, lengths: [text.length] }]
  const usage = { inputTokens: 1, outputTokens: 1 }
  const ended = { type: 'run.ended', run: 'r', epoch: 1, model: 'demo', message: 'm', reason: 'completed' } as const
  return { ...ended, usage, next: 1, output }
}

/** Resolves when the document has not changed for half a second. */
async function settled(page: Page): Promise<void> {
  await page.evaluate(
    () =>
      new Promise<void>((resolve) => {
        const done = (): void => {
          observer.disconnect()
          resolve()
        }
        let timer = setTimeout(done, 500)
        const observer = new MutationObserver(() => {
          clearTimeout(timer)
          timer = setTimeout(done, 500)
        })
        observer.observe(document.body, { subtree: true, childList: true, characterData: true })
      }),
  )
}

/**
 * Opens the chat and types.
 * @param name of the answer; undefined: a new chat
 * @returns the time of the longest task of the page's main thread, in milliseconds
 */
async function trace(name: string | undefined, shown: (page: Page) => Promise<void>): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let tried = 0; tried < TRIES && least >= TASK_MS; tried += 1) {
    const { context } = await world.come()
    const page = await context.newPage()
    const longest = await longestTask(world.browser, page, async () => {
      await page.goto(name === undefined ? world.site : `${world.site}?session=${session(name)}`)
      await shown(page)
      await page.getByRole('textbox', { name: 'Message' }).fill('The page still works.')
    })
    least = Math.min(least, longest)
  }
  return least
}
