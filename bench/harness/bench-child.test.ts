// A benchmark whose process dies ends with an error: it does not wait for ever.
import { expect, it } from 'vitest'
import { BenchChild } from './bench-child.ts'

const child = () => new BenchChild<string, { asked: number }>('harness/dying-child.mjs')

it('answers a question', async () => {
  const asked = child()
  expect(await asked.ask('once')).toEqual({ asked: 1 })
  asked.process.kill()
})

it('rejects the question of which its process dies, and all after it', async () => {
  const asked = child()
  await asked.ask('once')
  await expect(asked.ask('twice')).rejects.toThrow('harness/dying-child.mjs ended (3) before it answered.')
  await expect(asked.next()).rejects.toThrow('ended (3)')
})

it('rejects when its process is killed meanwhile', async () => {
  const asked = child()
  await asked.ask('once')
  const next = asked.next()
  asked.process.kill('SIGKILL')
  await expect(next).rejects.toThrow('ended (SIGKILL)')
})
