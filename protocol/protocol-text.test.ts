// PROTOCOL.md and the schemas agree: every frame, event, error and close code has a heading there, every heading has a
// schema, every field is documented, and every example is valid.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { z } from 'zod'
import { CLOSE, mayReconnect } from './close-code.ts'
import { ClientFrame } from './command.ts'
import { ERROR_CODES, ERRORS } from './error.ts'
import { EVENT_SHAPES } from './event.ts'
import { HTTP_ERROR_CODES, HTTP_STATUS } from './http.ts'
import { LIMITS } from './limits.ts'
import { ServerFrame } from './server-frame.ts'
import { SUBPROTOCOLS, TOKEN_SUBPROTOCOL_PREFIX } from './subprotocol.ts'

const text = readFileSync(new URL('../PROTOCOL.md', import.meta.url), 'utf8')
const sections = new Map(parts(text, '## '))
const SHORT = 'The protocol in 60 seconds'

interface Option {
  readonly shape: { readonly type: { readonly value: string } }
}

const unions: readonly (readonly [string, readonly Option[]])[] = [
  ['Client frames', ClientFrame.options],
  ['Server frames', ServerFrame.options],
  ['Events', EVENT_SHAPES.map((shape) => ({ shape }))],
]

describe.each(unions)('%s', (title, options) => {
  const headings = headingsOf(title)

  it('have one heading each, and no other headings', () => {
    expect([...headings.keys()]).toEqual(options.map((option) => `\`${option.shape.type.value}\``))
  })

  it.each(options.map((option) => [option.shape.type.value, Object.keys(option.shape)] as const))(
    '%s names all its fields in its shape',
    (type, fields) => {
      const shape = /```ts\n([\s\S]*?)```/.exec(headings.get(`\`${type}\``) ?? '')?.[1] ?? ''
      expect(fields.filter((field) => !new RegExp(`\\b${field}\\b`).test(shape))).toEqual([])
    },
  )
})

describe('Error codes', () => {
  const headings = headingsOf('Error codes')

  it('have one heading each, and no other headings', () => {
    expect([...headings.keys()]).toEqual(ERROR_CODES.map((code) => `\`${code}\``))
  })

  it.each(ERROR_CODES)('%s says what it means, whether to retry, and what to do', (code) => {
    const body = headings.get(`\`${code}\``) ?? ''
    expect(body).toContain(`Retryable: ${ERRORS[code].retryable ? 'yes' : 'no'}.`)
    expect(body).toMatch(/\*\*Do:\*\* \S/)
  })

  it('exist if a client frame lists them', () => {
    const named = [...(sections.get('Client frames') ?? '').matchAll(/^Errors[^:]*: (.*)\.$/gm)].flatMap(([, list]) =>
      [...(list ?? '').matchAll(/`([a-z_]+)`/g)].map(([, code]) => code),
    )
    expect(named.length).toBeGreaterThan(20)
    expect(named.filter((code) => !(ERROR_CODES as readonly (string | undefined)[]).includes(code))).toEqual([])
  })
})

describe('Close codes', () => {
  const headings = headingsOf('Close codes')

  it('have one heading each, and no other headings', () => {
    expect([...headings.keys()]).toEqual(Object.values(CLOSE).map(({ code }) => String(code)))
  })

  it.each(Object.entries(CLOSE))('%s says its name and whether to reconnect', (name, { code }) => {
    const body = headings.get(String(code)) ?? ''
    expect(body).toContain(`\`${name}\`. Reconnect: ${mayReconnect(code) ? 'yes' : 'no'}.`)
  })
})

describe('Limits', () => {
  it.each(Object.entries(LIMITS))('%s is in the table with its default', (name, value) => {
    const row = (sections.get('Limits') ?? '').split('\n').find((line) => line.startsWith(`| \`${name}\``))
    expect(row).toContain(`| ${value.toLocaleString('en-US')} |`)
  })
})

describe('HTTP', () => {
  const rows = [...(sections.get('HTTP') ?? '').matchAll(/^\| (\d{3}) \| (.*) \|$/gm)]

  it('has a status for every error code and HTTP code', () => {
    const listed = rows.flatMap(([, status, codes = '']) =>
      [...codes.matchAll(/`(\w+)`/g)].map(([, code]) => [code, Number(status)]),
    )
    expect(Object.fromEntries(listed)).toEqual(HTTP_STATUS)
    expect(listed).toHaveLength(ERROR_CODES.length + HTTP_ERROR_CODES.length)
  })

  it.each(HTTP_ERROR_CODES)('explains %s', (code) => {
    expect(/^Only over HTTP: (?:.+\n)+/m.exec(sections.get('HTTP') ?? '')?.[0]).toContain(`\`${code}\``)
  })
})

describe('Connecting', () => {
  it.each([...Object.values(SUBPROTOCOLS), TOKEN_SUBPROTOCOL_PREFIX])('names %s', (name) => {
    expect(sections.get('Connecting')).toContain(`\`${name}`)
  })
})

describe('Examples', () => {
  const scenarios = [...headingsOf('Scenarios')]

  it('are in numbered scenarios', () => {
    expect(scenarios.map(([heading]) => Number.parseInt(heading, 10))).toEqual(scenarios.map((_, index) => index + 1))
  })

  it.each([[SHORT, sections.get(SHORT) ?? ''] as const, ...scenarios])(
    '%s: every frame matches its schema',
    (_, body) => {
      const lines = [...body.matchAll(/```frames\n([\s\S]*?)```/g)].flatMap(
        ([, block]) => block?.trim().split('\n') ?? [],
      )
      expect(lines.length).toBeGreaterThan(0)
      for (const line of lines) {
        const [, direction, json] = /^[AB]?([<>]) (.*)$/.exec(line) ?? []
        const schema: z.ZodType = direction === '>' ? ClientFrame : ServerFrame
        const message: unknown = JSON.parse(json ?? '')
        for (const frame of Array.isArray(message) ? message : [message]) expect(schema.parse(frame)).toEqual(frame)
      }
    },
  )

  it('of errors have the code’s own text', () => {
    for (const [, json] of text.matchAll(/^[AB]?< (\{"type":"error".*)$/gm)) {
      const { code, message, retryable } = ServerFrame.parse(JSON.parse(json ?? '')) as z.infer<typeof ServerFrame> & {
        type: 'error'
      }
      expect({ message, retryable }).toEqual(ERRORS[code])
    }
  })
})

describe('Links', () => {
  const anchors = new Set([...text.matchAll(/^#{2,3} (.*)$/gm)].map(([, heading]) => anchor(heading ?? '')))

  it('point to headings', () => {
    const links = [...text.matchAll(/\]\(#([^)]*)\)/g)].map(([, link]) => link ?? '')
    expect(links.filter((link) => !anchors.has(link))).toEqual([])
  })
})

function headingsOf(title: string): ReadonlyMap<string, string> {
  return new Map(parts(sections.get(title) ?? '', '### '))
}

function parts(whole: string, mark: string): [string, string][] {
  return whole
    .split(new RegExp(`^${mark}`, 'm'))
    .slice(1)
    .map((part) => {
      const end = part.indexOf('\n')
      return [part.slice(0, end).trim(), part.slice(end)]
    })
}

/** The anchor that GitHub makes of a heading. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')
}
