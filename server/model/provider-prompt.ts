// ProviderPrompt: a conversation as the prompt of one model call, in the form that its provider accepts. All of a conversation comes from
// outside (people, models, tools, callers), and every later message sends it again: one part that the provider refuses would fail
// all of them. So such a part is left out or put into words, and a notice says so. Pure.
import type { LanguageModelV3Message, LanguageModelV3Prompt } from '@ai-sdk/provider'
import { asObject, type RunNotice, stringifyJson, wellFormed } from '@parley/protocol'
import { newestTurns, type Turn, type WrittenTurn } from './newest-turns.ts'
import type { PromptRules } from './prompt-rules.ts'
import { estimateTokens } from './token-estimate.ts'

type Message = LanguageModelV3Message
type Content<Role extends Message['role']> = Extract<Message, { role: Role }>['content'] & object
type UserPart = Content<'user'>[number]
type FilePart = Extract<UserPart, { type: 'file' }>
type Call = Extract<Content<'assistant'>[number], { type: 'tool-call' }>
type Result = Extract<Content<'tool'>[number], { type: 'tool-result' }>

export interface Conversation {
  /** Instructions. */
  readonly system: readonly string[]
  /** At least one. The model answers the last one, which grows with each model call of its run. */
  readonly turns: readonly Turn[]
  /** Its beginning was not loaded. */
  readonly isCut?: boolean
}

export interface PromptLimits {
  /** By estimate. The oldest turns beyond it are left out. */
  readonly tokens: number
  /** What is put into words: files and calls of earlier turns; `all`: the files of the last turn, too. */
  readonly inWords: 'nothing' | 'earlier' | 'all'
}

export interface ProviderPrompt {
  readonly prompt: LanguageModelV3Prompt
  /** By estimate. */
  readonly tokens: number
  readonly notices: readonly RunNotice[]
}

export function providerPrompt(
  { system, turns, isCut = false }: Conversation,
  rules: PromptRules,
  limits: PromptLimits,
): ProviderPrompt {
  const writer = new TurnWriter(turns, rules, limits.inWords)
  const written = turns.map((turn, at) => writer.write(turn, at === turns.length - 1))
  const { kept, omitted } = newestTurns(written, limits.tokens - estimateTokens(asSystem(system)))
  const conversation = joinUsers(kept)
  const first = conversation.findIndex(({ role }) => role !== 'system')
  const leading = conversation.splice(0, first < 0 ? conversation.length : first)
  const instructions = asSystem([...system.map(wellFormed), ...leading.map(({ content }) => content as string)])
  const prompt = [...instructions, ...arranged(conversation, rules)]
  return { prompt, tokens: estimateTokens(prompt), notices: noticesOf(kept, omitted + Number(isCut)) }
}

function noticesOf(turns: readonly WrittenTurn[], omitted: number): RunNotice[] {
  const files = new Map<string, number>()
  for (const type of turns.flatMap((turn) => turn.files)) files.set(type, (files.get(type) ?? 0) + 1)
  const adapted = turns.reduce((sum, turn) => sum + turn.adapted, 0)
  return [
    ...(omitted === 0 ? [] : [{ code: 'history_omitted' as const, count: omitted }]),
    ...[...files].map(([mediaType, count]) => ({ code: 'file_omitted' as const, mediaType, count })),
    ...(adapted === 0 ? [] : [{ code: 'call_adapted' as const, count: adapted }]),
  ]
}

function asSystem(texts: readonly string[]): Message[] {
  const said = texts.filter((text) => !isBlank(text))
  return said.length === 0 ? [] : [{ role: 'system', content: said.join('\n\n') }]
}

/** Anthropic refuses text of white space alone, Google empty text, and neither says anything. */
function isBlank(text: string): boolean {
  return text.trim() === ''
}

const EMPTY_MESSAGE = '[Empty message]'
const NO_RESULT = 'The call was abandoned: its run ended.'

/** Writes the turns in their order. All calls get unique ids, and their results directly after them. */
class TurnWriter {
  readonly #rules: PromptRules
  readonly #inWords: PromptLimits['inWords']
  /** Calls that are not written yet, by id. */
  readonly #calls = new Map<string, number>()
  /** The results of these calls, in order. */
  readonly #results = new Map<string, Result[]>()
  /** Results without a call. */
  readonly #orphans = new Set<Result>()
  readonly #ids = new Set<string>()
  /** Only rises, so all new ids together take no more tries than there are calls. */
  #next = 0
  /** Of the turn that is being written. */
  #files: string[] = []
  #adapted = 0

  constructor(turns: readonly Turn[], rules: PromptRules, inWords: PromptLimits['inWords']) {
    this.#rules = rules
    this.#inWords = inWords
    const messages = turns.flatMap((turn) => turn.messages)
    for (const call of messages.flatMap(callsOf))
      this.#calls.set(call.toolCallId, (this.#calls.get(call.toolCallId) ?? 0) + 1)
    for (const result of messages.flatMap(resultsOf)) {
      const results = this.#results.get(result.toolCallId) ?? []
      if (results.length < (this.#calls.get(result.toolCallId) ?? 0)) results.push(result)
      else this.#orphans.add(result)
      this.#results.set(result.toolCallId, results)
    }
  }

  write({ messages, arranged }: Turn, isLast: boolean): WrittenTurn {
    this.#files = []
    this.#adapted = 0
    const written = messages.flatMap((message) => this.#message(message, isLast))
    return { messages: written, arranged, files: this.#files, adapted: this.#adapted }
  }

  #message(message: Message, isLast: boolean): Message[] {
    switch (message.role) {
      case 'system':
        return isBlank(message.content) ? [] : [{ ...message, content: wellFormed(message.content) }]
      case 'user':
        return [{ ...message, content: this.#user(message.content, isLast) }]
      case 'assistant':
        return this.#assistant(message.content, this.#inWords !== 'nothing' && !isLast)
      case 'tool':
        return resultsOf(message).flatMap((result) => (this.#orphans.has(result) ? [this.#orphan(result)] : []))
    }
  }

  #user(content: readonly UserPart[], isLast: boolean): UserPart[] {
    const asWords = this.#inWords === 'all' || (this.#inWords === 'earlier' && !isLast)
    const parts = content.map((part) => (part.type === 'file' ? this.#file(part, asWords) : part)).flatMap(clean)
    return parts.length === 0 ? [{ type: 'text', text: EMPTY_MESSAGE }] : parts
  }

  #file(part: FilePart, asWords: boolean): UserPart {
    const mediaType = plainType(part.mediaType)
    const url = urlOf(part.data)
    const text = textIn(mediaType, part.data)
    const name = wellFormed(part.filename ?? 'file')
    if (text !== undefined) return { type: 'text', text: `[File ${name}, ${mediaType}]\n${text}` }
    const accepted = takesFile(mediaType, url, this.#rules)
    if (accepted && !asWords && part.data !== '') {
      return { ...part, mediaType, ...(part.filename === undefined ? {} : { filename: name }) }
    }
    this.#files.push(mediaType)
    const place = url === undefined ? '' : `, ${url}`
    return { type: 'text', text: `[File ${name}, ${mediaType}${place}: not available to this model]` }
  }

  /** A file that a model made. */
  #ownFile(part: FilePart, asWords: boolean): Content<'assistant'>[number] {
    const mediaType = plainType(part.mediaType)
    if (this.#rules.ownFiles === true && !asWords && takesFile(mediaType, undefined, this.#rules)) {
      return { ...part, mediaType }
    }
    return { type: 'text', text: `[File ${wellFormed(part.filename ?? 'file')}, ${mediaType}]` }
  }

  #assistant(content: Content<'assistant'>, asWords: boolean): Message[] {
    const said: Content<'assistant'> = []
    const results: Result[] = []
    for (const part of content) {
      if (part.type === 'file') {
        said.push(this.#ownFile(part, asWords))
        continue
      }
      if (part.type !== 'tool-call') {
        // OpenAI refuses reasoning without the call that followed it.
        const isLeftOut = part.type === 'reasoning' && (asWords || isUnsigned(part, this.#rules))
        if (!isLeftOut) said.push(...clean(part))
        continue
      }
      const given = this.#results.get(part.toolCallId)?.shift()
      if (asWords) {
        this.#adapted += 1
        said.push({ type: 'text', text: callInWords(part, given) })
        continue
      }
      const toolCallId = this.#id(part.toolCallId)
      const toolName = this.#name(part.toolName)
      said.push({ ...part, toolCallId, toolName, input: asObject(wellFormed(part.input)) })
      results.push({ ...given, type: 'tool-result', toolCallId, toolName, output: outputOf(given) })
    }
    const message: Message[] = said.length === 0 ? [] : [{ role: 'assistant', content: said }]
    return results.length === 0 ? message : [...message, { role: 'tool', content: results }]
  }

  #orphan(result: Result): Message {
    this.#adapted += 1
    const text = `[Result of a call of ${wellFormed(result.toolName)}]\n${outputInWords(outputOf(result))}`
    return { role: 'user', content: [{ type: 'text', text }] }
  }

  /** Deterministic, so that the same history has the same ids with every later message. */
  #id(id: string): string {
    let own = id
    let isUsable = this.#rules.callId.test(id) && !this.#ids.has(id)
    while (!isUsable) {
      own = `c${this.#next.toString(36).padStart(8, '0')}`
      this.#next += 1
      isUsable = !this.#ids.has(own)
    }
    this.#ids.add(own)
    return own
  }

  #name(name: string): string {
    if (this.#rules.toolName.test(name) && wellFormed(name) === name) return name
    this.#adapted += 1
    const plain = name.replaceAll(/[^a-zA-Z0-9_-]+/g, '_').slice(0, 63)
    return this.#rules.toolName.test(plain) ? plain : `_${plain}`
  }
}

function callsOf(message: Message): Call[] {
  return message.role === 'assistant' ? message.content.filter((part) => part.type === 'tool-call') : []
}

function resultsOf(message: Message): Result[] {
  return message.role === 'tool' ? message.content.filter((part) => part.type === 'tool-result') : []
}

/** The part without half characters; nothing for blank text. Reasoning, and items of OpenAI, may consist of metadata alone. */
function clean<P extends UserPart | Content<'assistant'>[number]>(part: P): P[] {
  if (part.type !== 'text' && part.type !== 'reasoning') return [part]
  const { openai, ...others } = part.providerOptions ?? {}
  const hasMetadata = openai !== undefined || (part.type === 'reasoning' && Object.keys(others).length > 0)
  if (isBlank(part.text) && !hasMetadata) return []
  const text = wellFormed(part.text)
  return text === part.text ? [part] : [{ ...part, text }]
}

/** A message of such reasoning alone would be empty. */
function isUnsigned(part: Content<'assistant'>[number], { signed }: PromptRules): boolean {
  return signed !== undefined && part.providerOptions?.[signed] === undefined
}

function outputOf(result: Result | undefined): Result['output'] {
  const output = result?.output
  // Anthropic: "content cannot be empty if is_error is true".
  if (output === undefined) return { type: 'error-text', value: NO_RESULT }
  if (output.type === 'error-text' && isBlank(output.value)) return { type: 'error-text', value: 'The call failed.' }
  return wellFormed(output)
}

function outputInWords(output: Result['output']): string {
  if (output.type === 'text' || output.type === 'error-text') return output.value
  return stringifyJson('value' in output ? output.value : (output.reason ?? null))
}

function callInWords({ toolName, input }: Call, result: Result | undefined): string {
  const call = `${toolName} with ${stringifyJson(input ?? null)}`
  return wellFormed(`[Called ${call}]\n${outputInWords(outputOf(result))}`)
}

const TEXT_FILE =
  /^(text\/.+|image\/svg\+xml|application\/(json|xml|yaml|x-yaml|toml|javascript|x-ndjson|.+\+(json|xml)))$/

/** Whether a model with these rules gets the file or its text, and not only its name. @param data base64, or where the file is */
export function acceptsFile(mediaType: string, data: string | URL, rules: PromptRules): boolean {
  const type = plainType(mediaType)
  return textIn(type, data) !== undefined || takesFile(type, urlOf(data), rules)
}

function takesFile(mediaType: string, url: string | undefined, rules: PromptRules): boolean {
  // The packages take an image of an unknown type for a JPEG.
  return rules.file(mediaType.replace('image/*', 'image/jpeg'), url)
}

function plainType(mediaType: string): string {
  const [type = ''] = mediaType.split(';')
  return type
    .trim()
    .toLowerCase()
    .replace(/^image\/jpg$/, 'image/jpeg')
}

function urlOf(data: FilePart['data']): string | undefined {
  return data instanceof URL ? data.href : undefined
}

/** The text of a text file; undefined for any other, for a URL, and if it is not UTF-8. */
function textIn(mediaType: string, data: FilePart['data']): string | undefined {
  if (data instanceof URL || !TEXT_FILE.test(mediaType)) return undefined
  try {
    const bytes = typeof data === 'string' ? Buffer.from(data, 'base64') : data
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** Joins adjacent user messages that no caller has arranged: some compatible servers refuse them. */
function joinUsers(turns: readonly Turn[]): Message[] {
  const joined: Message[] = []
  let stays = false
  for (const turn of turns) {
    for (const message of turn.messages) {
      const last = joined.at(-1)
      if (!stays && !turn.arranged && last?.role === 'user' && message.role === 'user') {
        joined[joined.length - 1] = { role: 'user', content: [...last.content, ...message.content] }
      } else {
        joined.push(message)
      }
      stays = turn.arranged
    }
  }
  return joined
}

/** The messages after the instructions. */
function arranged(messages: readonly Message[], rules: PromptRules): Message[] {
  const placed: Message[] = []
  for (const message of messages) {
    const last = placed.at(-1)
    if (message.role === 'system' && !rules.laterSystem) {
      placed.push({ role: 'user', content: [{ type: 'text', text: `<system>\n${message.content}\n</system>` }] })
    } else if (rules.alternates && last?.role === 'assistant' && message.role === 'assistant') {
      placed[placed.length - 1] = { ...last, content: [...last.content, ...message.content] }
    } else {
      placed.push(message)
    }
  }
  // Only a caller's own history starts so.
  if (rules.alternates && placed[0]?.role === 'assistant') {
    placed.unshift({ role: 'user', content: [{ type: 'text', text: EMPTY_MESSAGE }] })
  }
  return placed
}
