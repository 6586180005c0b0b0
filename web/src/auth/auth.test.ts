// What a link brings, and what the page reads in a token.
import { describe, expect, it } from 'vitest'
import { tokenOf } from '../../test/token.ts'
import { Keep } from '../shared/browser-storage.ts'
import { fragmentOf, inviteLink, withoutFragment } from './link-fragment.ts'
import { Pass } from './stored-token.ts'
import { claimsOf } from './token-claims.ts'

class Memory {
  readonly #held = new Map<string, string>()
  get length(): number {
    return this.#held.size
  }
  key(at: number): string | null {
    return [...this.#held.keys()][at] ?? null
  }
  getItem(key: string): string | null {
    return this.#held.get(key) ?? null
  }
  setItem(key: string, value: string): void {
    this.#held.set(key, value)
  }
  removeItem(key: string): void {
    this.#held.delete(key)
  }
}

describe('a link', () => {
  it('brings an invitation or a token behind its #, and nothing else', () => {
    const at = (hash: string) => fragmentOf(new URL(`https://parley.example/?session=s${hash}`))
    expect(at('#invite=inv_1.se-cret_')).toEqual({ invite: 'inv_1.se-cret_' })
    expect(at('#token=a.b.c&invite=i')).toEqual({ token: 'a.b.c', invite: 'i' })
    for (const hash of ['', '#', '#part', '#token=', '#tokens=x']) expect(at(hash)).toBeUndefined()
  })

  it('that invites comes apart as it was put together, and leaves the address bare', () => {
    const link = new URL(inviteLink('https://parley.example/?session=s', 'a+b&c=d%#'))
    expect(fragmentOf(link)).toEqual({ invite: 'a+b&c=d%#' })
    expect(withoutFragment(link).href).toBe('https://parley.example/?session=s')
  })
})

describe('a token', () => {
  it('tells whose it is and until when', () => {
    const { subject, until } = claimsOf(tokenOf('zoë@example.org', undefined, 60))
    expect(subject).toBe('zoë@example.org')
    expect(Math.abs((until ?? 0) - Date.now() - 60_000)).toBeLessThan(2_000)
  })

  it.each(['', 'opaque', 'a.b.c', 'a.!!.c', `a.${btoa('null')}.c`, `a.${btoa('{"sub":1,"exp":"x"}')}.c`])(
    'that is no such thing tells nothing: %s',
    (token) => {
      expect(claimsOf(token)).toEqual({})
    },
  )

  it('is kept for the tab until it is dropped', () => {
    const memory = new Memory()
    const pass = new Pass(new Keep(() => memory))
    expect([pass.token, pass.subject, pass.until]).toEqual([undefined, '', undefined])
    pass.take(tokenOf('ada'))
    expect(new Pass(new Keep(() => memory)).subject).toBe('ada')
    pass.drop()
    expect(new Pass(new Keep(() => memory)).token).toBeUndefined()
    expect(memory.length).toBe(0)
  })
})

describe('what a browser keeps', () => {
  it('is kept for each person apart', () => {
    const memory = new Memory()
    const [nobody, ada, bob] = ['', 'ada', 'bob'].map((subject) => new Keep(() => memory, subject))
    ada?.write('parley.draft.s', 'mine')
    expect([nobody, bob].map((keep) => keep?.read('parley.draft.s'))).toEqual([undefined, undefined])
    expect([nobody, ada, bob].map((keep) => keep?.keys('parley.draft.'))).toEqual([[], ['parley.draft.s'], []])
    expect(ada?.isKey(memory.key(0) ?? '', 'parley.draft.s')).toBe(true)
    expect(bob?.isKey(memory.key(0) ?? '', 'parley.draft.s')).toBe(false)
  })
})
