// local_time: what the page offers the model. It tells the clock and the time zone of this device, and no more.
import { tool } from '@parley/client'

export const localTime = tool({
  name: 'local_time',
  description: "The date, the time and the time zone of the user's device, now.",
  inputSchema: { type: 'object', properties: {}, additionalProperties: false },
  outputSchema: {
    type: 'object',
    properties: { iso: { type: 'string' }, timeZone: { type: 'string' }, text: { type: 'string' } },
    required: ['iso', 'timeZone', 'text'],
  },
  timeoutMs: 10_000,
  execute: () => tellTime(new Date()),
})

function tellTime(now: Date): { iso: string; timeZone: string; text: string } {
  return {
    iso: now.toISOString(),
    timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    text: now.toLocaleString(undefined, { dateStyle: 'full', timeStyle: 'long' }),
  }
}
