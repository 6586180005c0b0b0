// A benchmark fails if one of its processes dies: it does not wait forever.
import { expect, it } from 'vitest'
import { BenchChild } from './bench-child.ts'

const child = () => new BenchChild<string, { asked: number }>('harness/dying-child.mjs')

it('answers a question', async () => {
  const asked = child()
  expect(await asked.ask('once')).toEqual({ asked: 1 })
  asked.process.kill()
})

it('rejects the question that kills its process, and all later ones', async () => {
  const asked = child()
  await asked.ask('once')
  await expect(asked.ask('twice')).rejects.toThrow('harness/dying-child.mjs ended (3) before it answered.')
  await expect(asked.next()).rejects.toThrow('ended (3)')
})

it('rejects if its process is killed', async () => {
  const asked = child()
  await asked.ask('once')
  const next = asked.next()
  asked.process.kill('SIGKILL')
  await expect(next).rejects.toThrow('ended (SIGKILL)')
})
