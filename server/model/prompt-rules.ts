// PromptRules: what each provider, or its AI SDK package, accepts in a prompt. Sources: the providers' API references, the errors that
// their services return, and the packages' converters. Pure.
import type { Model } from './model.ts'

export interface PromptRules {
  /** Whether the model accepts a file. @param mediaType in lower case, without parameters */
  readonly file: (mediaType: string, url: string | undefined) => boolean
  /** Whether the model gets the files of its own answers back. The packages of other providers drop or refuse them. */
  readonly ownFiles?: true
  /** The names of tools, in declarations and in calls. */
  readonly toolName: RegExp
  /** The ids of calls, which are also unique. */
  readonly callId: RegExp
  /** Whether system messages after the first other message are accepted, and stay in their place. */
  readonly laterSystem: boolean
  /** The package leaves out reasoning without metadata of this name. */
  readonly signed?: 'anthropic' | 'openai'
  /** The conversation starts with the user, and an assistant message does not follow another. */
  readonly alternates: boolean
}

const IMAGE = /^image\/(png|jpeg|webp|gif)$/
const PDF = 'application/pdf'

/** Names and ids that all providers accept: Anthropic and OpenAI document these patterns, and 64 is OpenAI's length for both. */
const PLAIN_NAME = /^[a-zA-Z0-9_-]{1,64}$/

/** The packages lose calls of tools that are named like what every object inherits (`valueOf`): see findings. */
const INHERITED = Object.getOwnPropertyNames(Object.prototype).join('|')
const MAPPED_NAME = new RegExp(`^(?!(?:${INHERITED})$)[a-zA-Z0-9_-]{1,64}$`)

/** The built-in demo model, and models of tests. */
const ANY: PromptRules = {
  file: () => true,
  ownFiles: true,
  toolName: /^/,
  callId: /^/,
  laterSystem: true,
  alternates: false,
}

/** Remote agents get the conversation as it is, and adapt it to their own models. The protocol asks no more of names and ids. */
const AGENT: PromptRules = { ...ANY }

/**
 * The Responses API. Files: platform.openai.com/docs/guides/images-vision and /pdf-files. Descriptions of tools have no rule: until
 * early 2025 OpenAI refused more than 1,024 characters, since then it accepts them (run-llama/llama_index#18784, OpenHands#10184).
 */
const OPENAI: PromptRules = {
  file: (type) => IMAGE.test(type) || type === PDF,
  toolName: MAPPED_NAME,
  callId: PLAIN_NAME,
  laterSystem: true,
  signed: 'openai',
  alternates: false,
}

/**
 * platform.claude.com/docs/en/api/messages, /build-with-claude/vision and /pdf-support. `@ai-sdk/anthropic` 3 moves the first later
 * system message to the beginning, and sends the others with a beta feature that older models lack.
 */
const ANTHROPIC: PromptRules = { ...OPENAI, laterSystem: false, signed: 'anthropic', alternates: true }

/**
 * ai.google.dev/gemini-api/docs/{image,audio,video,document}-understanding and /function-calling. The service fetches only the URLs
 * that its package lists, and `@ai-sdk/google` 3 refuses later system messages.
 */
const GOOGLE: PromptRules = {
  ownFiles: true,
  file: (type) =>
    /^(image\/(png|jpeg|webp|heic|heif)|audio\/(wav|mp3|mpeg|aiff|aac|ogg|flac)|application\/pdf)$/.test(type) ||
    /^video\/(mp4|mpeg|mov|quicktime|avi|x-flv|mpg|webm|wmv|3gpp)$/.test(type),
  toolName: /^[a-zA-Z_][a-zA-Z0-9_-]{0,63}$/,
  callId: PLAIN_NAME,
  laterSystem: false,
  alternates: true,
}

/** `@ai-sdk/openai-compatible` 2 throws for all other files. Which of these a server accepts depends on its model. */
const COMPATIBLE: PromptRules = {
  toolName: PLAIN_NAME,
  callId: PLAIN_NAME,
  laterSystem: true,
  alternates: false,
  file: (type, url) =>
    type.startsWith('image/') || (url === undefined && /^(audio\/(wav|mp3|mpeg)|application\/pdf)$/.test(type)),
}

/** Mistral's service, and servers with its tokenizer: "must be a-z, A-Z, 0-9, with a length of 9". */
const MISTRAL: PromptRules = { ...COMPATIBLE, callId: /^[a-zA-Z0-9]{9}$/ }

export function promptRules({ language }: Model): PromptRules {
  const rules = rulesOf(/^\w+/.exec(language.provider)?.[0], language.modelId)
  if (rules === ANY || rules === AGENT || rules.file === COMPATIBLE.file) return rules
  const { supportedUrls } = language
  return {
    ...rules,
    file: (type, url) => rules.file(type, url) && (url === undefined || fetches(supportedUrls, type, url)),
  }
}

function rulesOf(provider: string | undefined, model: string): PromptRules {
  switch (provider) {
    case 'openai':
      return OPENAI
    case 'anthropic':
      return ANTHROPIC
    case 'google':
      return GOOGLE
    case 'agui':
      return AGENT
    case 'compatible':
      return /(mis|mix|minis|codes|devs|magis|pix|vox)tral/i.test(model) ? MISTRAL : COMPATIBLE
    default:
      return ANY
  }
}

/** Whether the provider itself fetches the URL, by its package's list of media types (or `*`, `image/*`) and patterns. */
function fetches(supported: Model['language']['supportedUrls'], type: string, url: string): boolean {
  return Object.entries(supported).some(
    ([types, urls]) =>
      (types === '*' || types === type || (types.endsWith('/*') && type.startsWith(types.slice(0, -1)))) &&
      (urls as readonly RegExp[]).some((pattern) => pattern.test(url)),
  )
}
