// Fields that chat completions and responses have in common, such as tools and sampling, and their conversion. Pure.
import {
  type Context,
  type FilePart,
  FilePart as FilePartSchema,
  LIMITS,
  parseJson,
  type Sampling,
  stringifyJson,
  type Tool,
  ToolName,
} from '@parley/protocol'
import { z } from 'zod'
import { HttpError } from '../http/http-error.ts'

const Schema = z.record(z.string(), z.unknown())

/** The function of a tool, without the wrapping that differs between the two APIs. */
export const FunctionTool = z.object({
  name: ToolName,
  description: z.string().max(8192).nullish(),
  parameters: Schema.nullish(),
})

export function asTool({ name, description, parameters }: z.infer<typeof FunctionTool>): Tool {
  return {
    name,
    ...(description === undefined || description === null ? {} : { description }),
    ...(parameters === undefined || parameters === null ? {} : { inputSchema: parameters }),
  }
}

export const ModelName = z.string().min(1).max(256)
export const Temperature = z.number().min(0).max(2).nullish()
export const Fraction = z.number().min(0).max(1).nullish()
export const Penalty = z.number().min(-2).max(2).nullish()
/** OpenAI's limits. */
export const Metadata = z
  .record(z.string().max(64), z.string().max(512))
  .refine((own) => Object.keys(own).length <= 16, 'must have at most 16 keys')
  .nullish()
/** A field of that API that is refused with this error. */
export const unsupported = (error: string) => z.null({ error }).optional()
export const TokenCount = z.int().min(1).nullish()
export const ToolChoiceName = z.enum(['auto', 'none', 'required'])
/** As long as the body may be. */
export const Text = z.string()

/** @param name of the tool that the model must call @throws HttpError bad_request if there is no such tool */
export function checkToolChoice(name: string | undefined, tools: readonly { readonly name: string }[]): void {
  if (name === undefined || tools.some((tool) => tool.name === name)) return
  throw new HttpError('bad_request', 'must name one of the tools', { path: 'tool_choice' })
}

export type Choice = z.infer<typeof ToolChoiceName> | { readonly name: string } | undefined

/** Omits fields that are undefined or null. */
export function sampling(
  fields: {
    readonly [Name in keyof Sampling]: Sampling[Name] | null | undefined
  },
): Sampling | undefined {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null)
  return given.length === 0 ? undefined : (Object.fromEntries(given) as Sampling)
}

/** @param url a data URL or another URL @param path of the field, for the error */
export function imagePart(url: string, path: string): FilePart {
  const file = fromDataUrl(url)
  return checked(file === undefined ? { type: 'file', mediaType: 'image/*', url } : { type: 'file', ...file }, path)
}

export function filePart(data: string, name: string | undefined, path: string): FilePart {
  const file = fromDataUrl(data) ?? { mediaType: 'application/octet-stream', data }
  return checked({ type: 'file', ...file, ...(name === undefined ? {} : { name }) }, path)
}

/** Stands for a file in the text of a tool's result. @param index from 0 */
export function fileMark(index: number, { name, mediaType }: FilePart): string {
  return `[file ${index + 1}: ${name ?? mediaType}]`
}

/** For a file where a model takes only text. @throws HttpError bad_request */
export function refuseFile(path: string): never {
  throw new HttpError('bad_request', 'images and files are supported only in user messages and tool outputs', { path })
}

/** @param data base64 */
export function audioPart(data: string, format: 'wav' | 'mp3', path: string): FilePart {
  return checked({ type: 'file', mediaType: format === 'wav' ? 'audio/wav' : 'audio/mpeg', data }, path)
}

function fromDataUrl(url: string): { readonly mediaType: string; readonly data: string } | undefined {
  const comma = url.indexOf(',')
  const [, mediaType] = /^data:([\w.+-]+\/[\w.+-]+);base64$/.exec(url.slice(0, Math.max(0, comma))) ?? []
  return mediaType === undefined ? undefined : { mediaType, data: url.slice(comma + 1) }
}

/** A file may be as large as the body; other limits are the protocol's. */
function checked(part: FilePart, path: string): FilePart {
  const isBase64 = part.data === undefined || (part.data.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(part.data))
  const rest = part.data === undefined ? part : { ...part, data: '' }
  if (isBase64 && FilePartSchema.safeParse(rest).success) return part
  throw new HttpError('bad_request', 'must be an http or https URL, or a base64 data URL', { path })
}

/** The arguments of a call; `{}` for an empty text. */
export function parsedArguments(text: string): unknown {
  try {
    return parseJson(text === '' ? '{}' : text)
  } catch {
    // A model wrote it, so it may not be JSON; then it is passed on as text.
    return text
  }
}

/** Always sets the tools: an empty list disables the server's own tools, whose calls this API could not show. */
export function contextOf(parts: {
  readonly history: NonNullable<Context['history']>
  readonly instructions: string
  readonly tools: readonly Tool[]
  readonly sampling: Sampling | undefined
}): Context {
  const { history, instructions, tools, sampling: samplingOptions } = parts
  // Unlike the history, these stay in the log, and every reader gets them.
  if (stringifyJson([tools, samplingOptions]).length > LIMITS.frameBytes) {
    throw new HttpError('bad_request', `The tools and options exceed ${LIMITS.frameBytes} characters as JSON.`)
  }
  return {
    ...(history.length === 0 ? {} : { history }),
    ...(instructions === '' ? {} : { instructions }),
    tools: [...tools],
    ...(samplingOptions === undefined ? {} : { sampling: samplingOptions }),
  }
}
