// A missing tool, also one that is missing only when the programs are compiled, is skipped; a failing one is an error.
import { tmpdir } from 'node:os'
import process from 'node:process'
import { expect, it } from 'vitest'
import { run } from './toolchains.ts'

it('tells a missing tool from one that fails', () => {
  expect(() => run(['no-such-compiler', 'build'], tmpdir())).toThrow(
    expect.objectContaining({ name: 'MissingProgram', message: 'no-such-compiler was not found' }),
  )
  expect(() => run([process.execPath, '--no-such-option'], tmpdir())).toThrow(
    expect.objectContaining({ name: 'Error' }),
  )
})
