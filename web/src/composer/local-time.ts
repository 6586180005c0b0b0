// local_time: the tool that the page offers to the model. It returns this device's time and time zone, and nothing
// else.
import { tool } from '@parley/client'

export const localTime = tool({
  name: 'local_time',
  description: "Returns the current date, time and time zone of the user's device.",
  inputSchema: { type: 'object', properties: {}, additionalProperties: false },
  outputSchema: {
    type: 'object',
    properties: { iso: { type: 'string' }, timeZone: { type: 'string' }, text: { type: 'string' } },
    required: ['iso', 'timeZone', 'text'],
  },
  timeoutMs: 10_000,
  execute: () => formatTime(new Date()),
})

function formatTime(now: Date): { iso: string; timeZone: string; text: string } {
  return {
    iso: now.toISOString(),
    timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    text: now.toLocaleString(undefined, { dateStyle: 'full', timeStyle: 'long' }),
  }
}
