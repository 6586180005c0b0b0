// Which URLs in a model's text become links.
import { describe, expect, it } from 'vitest'
import { safeLink } from './safe-link.ts'

describe('a link in a text', () => {
  it('may be a web or mail address', () => {
    expect(safeLink('https://example.org/a?b=c#d')).toBe('https://example.org/a?b=c#d')
    expect(safeLink('http://example.org')).toBe('http://example.org/')
    expect(safeLink('mailto:a@example.org')).toBe('mailto:a@example.org')
  })

  it.each([
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    'java\nscript:alert(1)',
    '\u0001javascript:alert(1)',
    ' javascript:alert(1)',
    'data:text/html,<script>alert(1)</script>',
    'vbscript:x',
    'blob:https://example.org/1',
    'file:///etc/passwd',
    '/inspect',
    '//example.org',
    'example.org',
    '#top',
    '',
    'https://bank.example@example.org/',
    `https://example.org/${'x'.repeat(5_000)}`,
  ])('may not be %j', (url) => {
    expect(safeLink(url)).toBeUndefined()
  })
})
