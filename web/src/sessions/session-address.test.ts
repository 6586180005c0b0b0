// The session in the page's address.
import { describe, expect, it } from 'vitest'
import { addressOf, sessionOf } from './session-address.ts'

describe("the page's address", () => {
  it('names the session in its query, or in its path', () => {
    expect(sessionOf(new URL('http://127.0.0.1:8080/?session=ses_1'))).toBe('ses_1')
    expect(sessionOf(new URL('http://127.0.0.1:8080/s/ses_1'))).toBe('ses_1')
  })

  it('names no session if the id is invalid', () => {
    const addresses = ['/', '/?session=', '/?session=a%20b', '/?session=../x', '/s/', `/?session=${'a'.repeat(129)}`]
    for (const address of addresses) expect(sessionOf(new URL(address, 'http://127.0.0.1'))).toBeUndefined()
  })

  it('is parsed to the session that it was built for', () => {
    const address = addressOf('ses_1', new URL('https://chat.example.com/s/other?session=third#x'))
    expect(address.href).toBe('https://chat.example.com/?session=ses_1')
    expect(sessionOf(address)).toBe('ses_1')
  })
})
