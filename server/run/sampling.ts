// Sampling: a message's sampling options as provider options. Pure.
import type { LanguageModelV3CallOptions, LanguageModelV3FunctionTool } from '@ai-sdk/provider'
import type { Sampling } from '@parley/protocol'

type Sampled = Omit<LanguageModelV3CallOptions, 'prompt' | 'maxOutputTokens'>

export function sampled(asked: Sampling = {}, tools: readonly LanguageModelV3FunctionTool[]): Sampled {
  const { temperature, topP, presencePenalty, frequencyPenalty, stop, seed, json, toolChoice = 'auto' } = asked
  return {
    ...(tools.length === 0 ? {} : { tools: [...tools], toolChoice: choice(toolChoice) }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { topP }),
    ...(presencePenalty === undefined ? {} : { presencePenalty }),
    ...(frequencyPenalty === undefined ? {} : { frequencyPenalty }),
    ...(stop === undefined ? {} : { stopSequences: stop }),
    ...(seed === undefined ? {} : { seed }),
    ...(json === undefined ? {} : { responseFormat: jsonFormat(json) }),
  }
}

function jsonFormat({ schema, name }: NonNullable<Sampling['json']>): NonNullable<Sampled['responseFormat']> {
  return { type: 'json', ...(schema === undefined ? {} : { schema }), ...(name === undefined ? {} : { name }) }
}

function choice(asked: NonNullable<Sampling['toolChoice']>): NonNullable<LanguageModelV3CallOptions['toolChoice']> {
  return typeof asked === 'string' ? { type: asked } : { type: 'tool', toolName: asked.name }
}
