// Forms of questions: which schemas they may have, and which answers match.
import { describe, expect, it } from 'vitest'
import { FormSchema, formProblem } from '../index.ts'

const form = FormSchema.parse({
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: {
    name: { type: 'string', title: 'Name', minLength: 2, maxLength: 3, pattern: '^x' },
    mail: { type: 'string', format: 'email' },
    site: { type: 'string', format: 'uri' },
    day: { type: 'string', format: 'date' },
    at: { type: 'string', format: 'date-time' },
    size: { type: 'string', enum: ['S', 'M'], enumNames: ['Small'] },
    color: { type: 'string', oneOf: [{ const: 'r', title: 'Red' }] },
    extras: { type: 'array', items: { type: 'string', enum: ['a', 'b', 'c'] }, minItems: 1, maxItems: 2 },
    tags: { type: 'array', items: { anyOf: [{ const: 't' }] } },
    count: { type: 'integer', minimum: 1, maximum: 9 },
    ratio: { type: 'number' },
    sure: { type: 'boolean', default: false },
  },
  required: ['name'],
})

describe('a form', () => {
  it.each([
    ['an array', { type: 'array' }],
    ['a nested object', { type: 'object', properties: { a: { type: 'object', properties: {} } } }],
    ['a list of anything', { type: 'object', properties: { a: { type: 'array', items: { type: 'string' } } } }],
    ['a reference', { type: 'object', properties: { a: { $ref: '#/$defs/a' } } }],
    [
      'too many fields',
      { type: 'object', properties: Object.fromEntries([...Array(33).keys()].map((n) => [n, { type: 'boolean' }])) },
    ],
  ])('is not %s', (_, schema) => {
    expect(FormSchema.safeParse(schema).success).toBe(false)
  })

  it.each([
    [{ name: 'Bob' }],
    [{ name: '😀😀', size: 'M', color: 'r', extras: ['a', 'c'], tags: [], count: 9, ratio: 0.5, sure: true }],
    [{ name: 'ab', mail: 'a@b.ch', site: 'https://a.ch/', day: '2028-02-29', at: '2026-12-02T03:04:05.6+01:00' }],
  ])('takes %j', (content) => {
    expect(formProblem(form, content)).toBeUndefined()
  })

  it.each([
    [{}, 'name is required'],
    [{ name: 'a' }, 'name must have at least 2 characters'],
    [{ name: 'abcd' }, 'name must have at most 3 characters'],
    [{ name: 5 }, 'name must be text'],
    [{ name: 'ab', other: 1 }, 'the form has no field other'],
    [{ name: 'ab', constructor: 'x' }, 'the form has no field constructor'],
    [{ name: 'ab', mail: 'a b@c' }, 'mail must be a valid email'],
    [{ name: 'ab', site: 'nowhere' }, 'site must be a valid uri'],
    [{ name: 'ab', day: '2026-06-31' }, 'day must be a valid date'],
    [{ name: 'ab', at: '2026-12-02' }, 'at must be a valid date-time'],
    [{ name: 'ab', size: 'Small' }, 'size must be one of its choices'],
    [{ name: 'ab', color: 'Red' }, 'color must be one of its choices'],
    [{ name: 'ab', extras: [] }, 'extras must have at least 1 choices'],
    [{ name: 'ab', extras: ['a', 'b', 'c'] }, 'extras must have at most 2 choices'],
    [{ name: 'ab', extras: ['a', 'a'] }, 'extras must not repeat a choice'],
    [{ name: 'ab', extras: ['d'] }, 'extras must be a list of its choices'],
    [{ name: 'ab', tags: 't' }, 'tags must be a list of its choices'],
    [{ name: 'ab', count: 1.5 }, 'count must be a whole number'],
    [{ name: 'ab', count: 0 }, 'count must be at least 1'],
    [{ name: 'ab', count: 10 }, 'count must be at most 9'],
    [{ name: 'ab', ratio: '1' }, 'ratio must be a number'],
    [{ name: 'ab', sure: 'yes' }, 'sure must be true or false'],
  ])('refuses %j', (content, problem) => {
    expect(formProblem(form, content)).toBe(problem)
  })
})
