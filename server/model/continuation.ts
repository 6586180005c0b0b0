// Continuation: how a model continues an answer that broke off. The stored text is the last message of the prompt, as the assistant's.
// Each dialect says to the provider, in its own way, that this message is not complete. Models that understand none of them are asked.
import type { LanguageModelV3CallOptions, LanguageModelV3Prompt } from '@ai-sdk/provider'

/**
 * `exact`: the provider continues an assistant message at the end of the prompt (llama.cpp). `continue_final_message`: with fields of the
 * request (vLLM, SGLang). `prefix`: with a field of the message (Mistral, DeepSeek). `partial`: with another one (Qwen, Kimi).
 * `ask`: a user message asks for the rest. `none`: the answer starts again.
 */
export const DIALECTS = ['none', 'exact', 'continue_final_message', 'prefix', 'partial', 'ask'] as const
export type Dialect = (typeof DIALECTS)[number]

/** Marks a call whose last message broke off. */
export const CONTINUES = { parley: { continues: true } } as const

/** Repeated words show where the rest begins, and with which white space. */
const ASK =
  'Your last message was cut off by a technical fault. Write the rest of it. Begin by repeating the last few words of the message exactly, ' +
  'then continue from there in the same language and format. Do not apologize, do not comment on the interruption, and do not start again.'

/** @returns the text that broke off; undefined for any other call */
export function brokenText({ prompt, providerOptions }: LanguageModelV3CallOptions): string | undefined {
  const last = prompt.at(-1)
  if (providerOptions?.parley?.continues !== true || last?.role !== 'assistant') return undefined
  const part = last.content.at(-1)
  return part?.type === 'text' ? part.text : undefined
}

/** @returns the call as the dialect writes it */
export function continuing(options: LanguageModelV3CallOptions, dialect: Dialect): LanguageModelV3CallOptions {
  if (brokenText(options) === undefined) return options
  switch (dialect) {
    case 'continue_final_message':
      return withBody(options, { continue_final_message: true, add_generation_prompt: false })
    case 'prefix':
    case 'partial':
      return { ...options, prompt: withField(options.prompt, dialect) }
    case 'ask': {
      const question = { role: 'user' as const, content: [{ type: 'text' as const, text: ASK }] }
      return { ...options, prompt: [...options.prompt, question] }
    }
    case 'none':
    case 'exact':
      return options
  }
}

function withBody(options: LanguageModelV3CallOptions, fields: Readonly<Record<string, boolean>>) {
  const { compatible, ...others } = options.providerOptions ?? {}
  return { ...options, providerOptions: { ...others, compatible: { ...compatible, ...fields } } }
}

function withField(prompt: LanguageModelV3Prompt, field: string): LanguageModelV3Prompt {
  return prompt.map((message, at) => {
    if (at < prompt.length - 1) return message
    const { openaiCompatible, ...others } = message.providerOptions ?? {}
    return { ...message, providerOptions: { ...others, openaiCompatible: { ...openaiCompatible, [field]: true } } }
  })
}
