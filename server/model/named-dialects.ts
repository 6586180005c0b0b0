// The end of an answer in the protocols of OpenAI's Responses API, Anthropic and Google. Their events pass unchanged, except that Google's numbers are
// marked where the package would round them.
import { markNumbers } from '@parley/protocol'
import type { AnswerDialect } from './answer-fetch.ts'

/** OpenAI's Responses API: an event says that the response is over. */
export class ResponsesDialect implements AnswerDialect {
  end: AnswerDialect['end'] = 'open'

  event(data: string): string {
    if (/"response\.(completed|incomplete|failed)"/.test(data) && LAST.test(String(field(data, 'type'))))
      this.end = 'ended'
    return data
  }
}

const LAST = /^response\.(completed|incomplete|failed)$/

/** Google's API: the last chunk has a finish reason; nothing marks the end. */
export class GoogleDialect implements AnswerDialect {
  end: AnswerDialect['end'] = 'open'

  event(data: string): string {
    if (data.includes('"finishReason"')) {
      const candidates = field(data, 'candidates')
      if (Array.isArray(candidates) && candidates[0]?.finishReason != null) this.end = 'finished'
    }
    // Its arguments are an object, which the package parses and writes as a text.
    return data.includes('"functionCall"') ? markNumbers(data) : data
  }
}

/** Anthropic's API: `message_stop` is the last event. */
export class AnthropicDialect implements AnswerDialect {
  end: AnswerDialect['end'] = 'open'

  event(data: string): string {
    if (data.includes('"message_stop"') && field(data, 'type') === 'message_stop') this.end = 'ended'
    return data
  }
}

function field(data: string, name: string): unknown {
  try {
    const value: unknown = JSON.parse(data)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
  } catch {
    return undefined
  }
}
