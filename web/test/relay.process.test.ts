// The page while the node that writes an answer dies: with a relay, the answer pauses and continues. In a real browser, with real
// processes and a provider that counts its requests.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ServerProcess } from '../../bench/cluster/server-process.ts'
import { CountingProvider, STEPS, textOf } from '../../server/test/relay/counting-provider.ts'
import { PageWorld } from './page-world.ts'

const SECRET = 'a-secret-of-at-least-32-bytes-for-the-relay'

const provider = new CountingProvider(60)
let relay: ServerProcess
let world: PageWorld
beforeAll(async () => {
  await provider.start()
  const shared = { PARLEY_RELAY_SECRET: SECRET, PARLEY_COMPATIBLE_URL: provider.url }
  relay = await ServerProcess.start({ ...shared, PARLEY_ROLE: 'relay' })
  const relayUrl = `http://127.0.0.1:${relay.port}`
  world = await PageWorld.start({ ...shared, PARLEY_MODEL: 'compatible:m', PARLEY_RELAY_URL: relayUrl })
})
afterAll(async () => {
  await world.dispose()
  await relay.dispose()
  await provider.stop()
})

declare const window: {
  /** The texts of the answer, after each change. */
  readonly texts: string[]
}

it('shows a text that only grows while its node is killed twice', async () => {
  const tab = await (await world.come()).open(world.site)
  await tab.send('run=page')
  const answer = tab.page.locator('.answer')
  await answer.waitFor()
  await tab.page.evaluate(() => {
    const texts: string[] = []
    Object.assign(window, { texts })
    const read = (): void => {
      const text = [...document.querySelectorAll('.answer > .text')].map((part) => part.textContent).join('')
      if (text !== texts.at(-1)) texts.push(text)
    }
    new MutationObserver(read).observe(document.body, { subtree: true, childList: true, characterData: true })
  })
  let seen = 0
  for (const tokens of [10, 28]) {
    await expect.poll(() => provider.tokens, { interval: 5 }).toBeGreaterThan(tokens)
    // The page shows more than before the kill. A busy browser skips many of the states.
    await expect.poll(() => tab.page.evaluate(() => window.texts.length), { interval: 5 }).toBeGreaterThan(seen)
    seen = await tab.page.evaluate(() => window.texts.length)
    await world.server.kill()
    await world.server.start()
  }
  await tab.answer(0, 'completed')
  const texts = (await tab.page.evaluate(() => window.texts)).map((text) => text.replaceAll(/\s+/g, ''))
  const taken = texts.filter((text, at) => !text.startsWith(texts[at - 1] ?? ''))
  expect(taken).toEqual([])
  expect(texts.length).toBeGreaterThan(seen)
  expect(texts.at(-1)).toBe(textOf('page').replaceAll(/\s+/g, ''))
  expect([...provider.requests.values()]).toEqual(Array.from({ length: STEPS }, () => 1))
  await world.leave()
})
