// Jobs: PROTOCOL.md and the schemas agree on every field and state; valid and invalid requests.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { JOB_STATES, Job, JobAccepted, JobProgress, JobRequest, RunResult } from './job.ts'

const text = readFileSync(new URL('../PROTOCOL.md', import.meta.url), 'utf8')
const section = /^### Jobs\n([\s\S]*?)(?=^##)/m.exec(text)?.[1] ?? ''
const shapes = /```ts\n([\s\S]*?)```/.exec(section)?.[1] ?? ''

describe('the section about jobs', () => {
  it.each(Object.entries({ JobRequest, JobAccepted, Job, JobProgress, RunResult }))(
    'names all fields of %s',
    (_, { shape }) => {
      expect(Object.keys(shape).filter((field) => !new RegExp(`\\b${field}\\b`).test(shapes))).toEqual([])
    },
  )

  it('names all states, in their order', () => {
    expect(shapes).toContain(`JobState = ${JOB_STATES.map((state) => `'${state}'`).join(' | ')}\n`)
  })
})

describe('a job request', () => {
  it.each([
    { content: 'hi' },
    { session: 's', content: [{ type: 'text', text: 'hi' }], policy: 'interrupt', seen: { run: 'r', index: -1 } },
  ])('may be %j', (body) => {
    expect(JobRequest.parse(body)).toEqual(body)
  })

  it.each([{}, { content: '' }, { content: 'x', session: '' }, { content: 'x', policy: 'later' }, { content: [] }])(
    'is not %j',
    (body) => {
      expect(JobRequest.safeParse(body).success).toBe(false)
    },
  )
})
