// The fragment of a link, the claims and the storage of a token, and values stored per user.
import { describe, expect, it } from 'vitest'
import { tokenOf } from '../../test/token.ts'
import { BrowserStorage } from '../shared/browser-storage.ts'
import { fragmentOf, inviteLink, withoutFragment } from './link-fragment.ts'
import { StoredToken } from './stored-token.ts'
import { claimsOf } from './token-claims.ts'

class Memory {
  readonly #values = new Map<string, string>()
  get length(): number {
    return this.#values.size
  }
  key(at: number): string | null {
    return [...this.#values.keys()][at] ?? null
  }
  getItem(key: string): string | null {
    return this.#values.get(key) ?? null
  }
  setItem(key: string, value: string): void {
    this.#values.set(key, value)
  }
  removeItem(key: string): void {
    this.#values.delete(key)
  }
}

describe('the fragment of a link', () => {
  it('carries an invitation or a token, and nothing else', () => {
    const at = (hash: string) => fragmentOf(new URL(`https://parley.example/?session=s${hash}`))
    expect(at('#invite=inv_1.se-cret_')).toEqual({ invite: 'inv_1.se-cret_' })
    expect(at('#token=a.b.c&invite=i')).toEqual({ token: 'a.b.c', invite: 'i' })
    for (const hash of ['', '#', '#part', '#token=', '#tokens=x']) expect(at(hash)).toBeUndefined()
  })

  it('returns the invitation that it was built from, and is removed from the address', () => {
    const link = new URL(inviteLink('https://parley.example/?session=s', 'a+b&c=d%#'))
    expect(fragmentOf(link)).toEqual({ invite: 'a+b&c=d%#' })
    expect(withoutFragment(link).href).toBe('https://parley.example/?session=s')
  })
})

describe('a token', () => {
  it('names its user and its expiry', () => {
    const { user, expiresAt } = claimsOf(tokenOf('zoë@example.org', undefined, 60))
    expect(user).toBe('zoë@example.org')
    expect(Math.abs((expiresAt ?? 0) - Date.now() - 60_000)).toBeLessThan(2_000)
  })

  it.each(['', 'opaque', 'a.b.c', 'a.!!.c', `a.${btoa('null')}.c`, `a.${btoa('{"sub":1,"exp":"x"}')}.c`])(
    'has no claims if it is not a JWT: %s',
    (token) => {
      expect(claimsOf(token)).toEqual({})
    },
  )

  it('is stored for the tab until it is cleared', () => {
    const memory = new Memory()
    const token = new StoredToken(new BrowserStorage(() => memory))
    expect([token.value, token.user, token.expiresAt]).toEqual([undefined, '', undefined])
    token.set(tokenOf('ada'))
    expect(new StoredToken(new BrowserStorage(() => memory)).user).toBe('ada')
    token.clear()
    expect(new StoredToken(new BrowserStorage(() => memory)).value).toBeUndefined()
    expect(memory.length).toBe(0)
  })
})

describe('browser storage', () => {
  it('separates the values of different users', () => {
    const memory = new Memory()
    const [nobody, ada, bob] = ['', 'ada', 'bob'].map((user) => new BrowserStorage(() => memory, user))
    ada?.write('parley.draft.s', 'mine')
    expect([nobody, bob].map((storage) => storage?.read('parley.draft.s'))).toEqual([undefined, undefined])
    expect([nobody, ada, bob].map((storage) => storage?.keys('parley.draft.'))).toEqual([[], ['parley.draft.s'], []])
    expect(ada?.isKey(memory.key(0) ?? '', 'parley.draft.s')).toBe(true)
    expect(bob?.isKey(memory.key(0) ?? '', 'parley.draft.s')).toBe(false)
  })
})
