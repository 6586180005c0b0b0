// The conversation that the screenshots show: what two people ask, what the scripted model answers, which tools it calls,
// and the other sessions in the list.

/** The sessions in the list, the oldest first. The conversation of the pictures comes after them, so it is the newest. */
export const OTHER_SESSIONS = [
  ['offsite', 'Plan the offsite in Lisbon', 'Which week in March has the cheapest flights from Zurich?'],
  ['interviews', 'Churn interview themes', 'What do the customers who left have in common?'],
  ['regex', 'Why is this regex slow?', 'Why is /^(a+)+$/ slow for a long input?'],
  ['release-notes', 'Release notes for 4.2', 'Turn the merged pull requests into release notes.'],
  ['billing', 'Move billing to a queue', 'How do we move the billing cron job to a queue without charging twice?'],
]

export const TITLE = 'Slow first tokens in Virginia'

export const QUESTION = 'First tokens have been slow since Friday. Which region is it, and what changed?'

export const ANSWER = `Only **Virginia** is slower. The change is in the release of Friday, \`2026.11.27\`:

| Region | p95 before | p95 now | Change |
| :--- | ---: | ---: | ---: |
| Frankfurt | 312 ms | 318 ms | +2 % |
| Virginia | 294 ms | **1,140 ms** | +288 % |

It cut the connection pool there from 32 to 8, so requests wait for a free connection.
`

export const REQUEST = 'Roll Virginia back, please. Leave the other regions as they are.'

export const PLAN = 'I can roll back **Virginia only**. The other regions stay on `2026.11.27`.'

export const DONE = 'Done: Virginia runs `2026.11.20` again. The p95 of the last five minutes is **301 ms**.'

/** The phone shows this answer while it streams. */
export const FOLLOW_UP = 'How do we notice this earlier next time?'

export const ADVICE = `Three things would have caught it on Friday:

1. **Alert on the first token, by region.** The global p95 moved by only 9 %, so its alert stayed silent.
2. **Canary the pool size.** Send 5 % of a region's traffic to the new release for 15 minutes, and compare.
3. **Show waiting requests.** The queue for a connection was at 40 within a minute of the release, and no dashboard shows it.
`

const METRICS = { metric: 'first_token_p95', by: 'region', since: '2026-11-27' }
const ROLLBACK = { region: 'virginia', to: '2026.11.20' }

/** @param {import('@copilotkit/aimock').LLMock} model */
export function scriptModel(model) {
  const fast = { streamingProfile: { ttft: 1, tps: 2_000, jitter: 0 } }
  const isLast = (text) => (request) => lastMessage(request, 'user').includes(text)
  const hasResult = (request) => request.messages.at(-1)?.role === 'tool'
  const on = (text, afterTool, response, options = fast) =>
    model.on({ predicate: (request) => isLast(text)(request) && hasResult(request) === afterTool }, response, options)
  for (const [, , question] of OTHER_SESSIONS) on(question, false, { content: 'Let us look at it together.' })
  on(QUESTION, false, { toolCalls: [{ name: 'query_metrics', arguments: JSON.stringify(METRICS) }] })
  on(QUESTION, true, { content: ANSWER })
  on(REQUEST, false, { content: PLAN, toolCalls: [{ name: 'roll_back', arguments: JSON.stringify(ROLLBACK) }] })
  on(REQUEST, true, { content: DONE })
  // Slow enough for a picture in mid-answer.
  on(FOLLOW_UP, false, { content: ADVICE }, { streamingProfile: { ttft: 1, tps: 40, jitter: 0 } })
}

/** The tools that Ada's machine runs for the model. @param {typeof import('@parley/client').tool} tool */
export function tools(tool) {
  const query = tool({
    name: 'query_metrics',
    inputSchema: {
      type: 'object',
      properties: { metric: { type: 'string' }, by: { type: 'string' }, since: { type: 'string' } },
    },
    execute: () => ({ frankfurt: 318, virginia: 1140 }),
  })
  const rollBack = tool({
    name: 'roll_back',
    inputSchema: { type: 'object', properties: { region: { type: 'string' }, to: { type: 'string' } } },
    approval: true,
    execute: () => ({ deployed: '2026.11.20' }),
  })
  return [query, rollBack]
}

function lastMessage(request, role) {
  const content = request.messages.findLast((message) => message.role === role)?.content ?? ''
  return typeof content === 'string' ? content : content.map((part) => part.text ?? '').join('')
}
