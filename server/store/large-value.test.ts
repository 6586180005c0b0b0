// Work on large values in several passes: between two of them, the event loop serves others.
import { expect, it } from 'vitest'
import { afterPass } from './large-value.ts'

it('lets the event loop serve others after a pass over a large value alone', async () => {
  const served: string[] = []
  const others = (size: string): unknown => setImmediate(() => served.push(size))
  others('small')
  await afterPass(1024)
  expect(served).toEqual([])
  others('large')
  await afterPass(2 * 1024 * 1024)
  expect(served).toEqual(['small', 'large'])
})
