// Which URLs in a model's text become links.
import { describe, expect, it } from 'vitest'
import { isSmallPicture, safeImage, safeLink } from './safe-link.ts'

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

describe('an image', () => {
  const origin = 'https://parley.example'
  it.each([
    ['https://images.example/a.png', false],
    ['/icon.svg', true],
    ['https://parley.example/assets/a.png', true],
  ])('may be %s', (url, isOwn) => {
    expect(safeImage(url, origin)?.isOwn).toBe(isOwn)
  })

  it.each([
    'http://images.example/a.png',
    '//images.example/a.png',
    '/\\images.example/a.png',
    'a.png',
    'data:image/png;base64,AA==',
    'javascript:alert(1)',
    'https://user@images.example/a.png',
    '/v1/sessions',
    '/./v1/hello',
    'https://parley.example/v1/hello',
  ])('may not be %s', (url) => {
    expect(safeImage(url, origin)).toBeUndefined()
  })
})

describe('a picture in a URL', () => {
  it.each([
    ['data:image/png;base64,AA==', 'image/png', true],
    ['data:image/svg+xml;base64,AA==', 'image/svg+xml', false],
    ['data:image/png;base64,AA==', 'text/html', false],
    ['data:text/html;base64,AA==', 'text/html', false],
    ['data:image/png,<svg>', 'image/png', false],
    ['https://images.example/a.png', 'image/png', false],
  ])('%s of type %s: %s', (url, mediaType, isSmall) => {
    expect(isSmallPicture(url, mediaType)).toBe(isSmall)
  })
})
