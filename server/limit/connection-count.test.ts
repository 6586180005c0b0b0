import { pino } from 'pino'
import { expect, it } from 'vitest'
import { ConnectionCount } from './connection-count.ts'

it('limits connections in total and per address', () => {
  const count = new ConnectionCount({ total: 3, perAddress: 2 })
  expect(['a', 'a', 'a', 'b', 'c'].map((address) => count.enter(address))).toEqual([
    'entered',
    'entered',
    'address',
    'entered',
    'total',
  ])
  count.leave('a')
  expect(count.total).toBe(2)
  expect(count.enter('c')).toBe('entered')
})

it('does not fill the log when one client connects again and again', () => {
  const lines: string[] = []
  const logger = pino({ base: null, timestamp: false }, { write: (line) => lines.push(line) })
  const count = new ConnectionCount({ total: 2, perAddress: 1 }, logger)
  for (let round = 0; round < 10_000; round += 1) count.enter('a')
  count.enter('b')
  for (let round = 0; round < 10_000; round += 1) count.enter('c')
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { level: 40, limit: 'address', omitted: 0, msg: 'too many connections' },
    { level: 40, limit: 'total', omitted: 0, msg: 'too many connections' },
  ])
})
