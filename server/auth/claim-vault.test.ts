// Claims of an access token, encrypted for the run queue: who can read them, and when nobody can.
import { expect, it } from 'vitest'
import { ClaimVault } from './claim-vault.ts'

const SECRET = 'a secret of thirty-two characters'

it('returns claims on a node with the same secret, to their user alone', async () => {
  const sealed = await new ClaimVault(['key', 'tenant', 'none'], SECRET).seal('ada', {
    key: 'sk-1',
    tenant: 7,
    other: 'x',
  })
  expect(sealed).not.toContain('sk-1')
  const vault = new ClaimVault(['key', 'tenant'], SECRET)
  expect(await vault.open(sealed ?? '', 'ada')).toEqual({ claims: { key: 'sk-1', tenant: '7' } })
  const unreadable = { problem: 'unreadable' }
  expect(await vault.open(sealed ?? '', 'bob')).toEqual(unreadable)
  expect(await vault.open('nonsense', 'ada')).toEqual(unreadable)
  expect(await new ClaimVault(['key'], undefined).open(sealed ?? '', 'ada')).toEqual(unreadable)
})

it('keeps nothing of a token without the claims, or with too large ones', async () => {
  const vault = new ClaimVault(['key'], undefined)
  expect(await vault.seal('ada', { other: 'x', key: { nested: true } })).toBe(undefined)
  // Nothing said why they were missing.
  const sealed = await vault.seal('ada', { key: 'x'.repeat(20_000) })
  expect(sealed?.length).toBeLessThan(1_000)
  expect(await vault.open(sealed ?? '', 'ada')).toEqual({ problem: 'too_large' })
})
