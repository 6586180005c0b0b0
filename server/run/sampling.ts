// Sampling: a message's sampling options as provider options. Pure.
import type { LanguageModelV3CallOptions, LanguageModelV3FunctionTool } from '@ai-sdk/provider'
import type { Sampling } from '@parley/protocol'
import { providerOptions } from '../model/provider-options.ts'
import { ModelFailure } from './model-call.ts'

type Sampled = Omit<LanguageModelV3CallOptions, 'prompt' | 'maxOutputTokens'>

/**
 * @param model its id
 * @throws ModelFailure option_unsupported, if the model does not have the tool that it must call
 */
export function sampled(model: string, asked: Sampling = {}, tools: readonly LanguageModelV3FunctionTool[]): Sampled {
  const { temperature, topP, presencePenalty, frequencyPenalty, stop, seed, json, toolChoice = 'auto' } = asked
  const isForced = toolChoice !== 'auto' && toolChoice !== 'none'
  if (isForced && !tools.some(({ name }) => toolChoice === 'required' || toolChoice.name === name)) {
    throw new ModelFailure('option_unsupported', 'The model has no tool that the option toolChoice could require.')
  }
  return {
    ...(tools.length === 0 ? {} : { tools: [...tools], toolChoice: choice(toolChoice) }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { topP }),
    ...(presencePenalty === undefined ? {} : { presencePenalty }),
    ...(frequencyPenalty === undefined ? {} : { frequencyPenalty }),
    ...(stop === undefined ? {} : { stopSequences: stop }),
    ...(seed === undefined ? {} : { seed }),
    ...(json === undefined ? {} : { responseFormat: jsonFormat(json) }),
    ...providerOptions(model, asked),
  }
}

function jsonFormat({
  schema,
  name,
  description,
}: NonNullable<Sampling['json']>): NonNullable<Sampled['responseFormat']> {
  return {
    type: 'json',
    ...(schema === undefined ? {} : { schema }),
    ...(name === undefined ? {} : { name }),
    ...(description === undefined ? {} : { description }),
  }
}

function choice(asked: NonNullable<Sampling['toolChoice']>): NonNullable<LanguageModelV3CallOptions['toolChoice']> {
  return typeof asked === 'string' ? { type: asked } : { type: 'tool', toolName: asked.name }
}
