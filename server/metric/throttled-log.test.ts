import { expect, it } from 'vitest'
import { ThrottledLog } from './throttled-log.ts'

it('writes the first line of each kind, then one every ten seconds with the number of those left out', () => {
  let now = 0
  const log = new ThrottledLog<'full' | 'failed'>(() => now)
  const lines: string[] = []
  const write = (kind: 'full' | 'failed') => log.write(kind, (omitted) => lines.push(`${kind} ${omitted}`))
  write('full')
  write('full')
  write('failed')
  now = 9_999
  write('full')
  expect(lines).toEqual(['full 0', 'failed 0'])
  now = 10_000
  write('full')
  write('full')
  expect(lines.slice(2)).toEqual(['full 2'])
  now = 30_000
  write('full')
  write('failed')
  expect(lines.slice(3)).toEqual(['full 1', 'failed 0'])
})
