// Tools, their choice and other settings as the OpenAI API writes them, in our terms. Both of its doors share them. Pure.
import { type Context, LIMITS, type Part, Part as PartForm, type Sampling, type Tool, ToolName } from '@parley/protocol'
import { z } from 'zod'
import { HttpError } from '../http/http-error.ts'

const Schema = z.record(z.string(), z.unknown())

/** A function, without what stands around it. */
export const FunctionForm = z.object({
  name: ToolName,
  description: z.string().max(8192).nullish(),
  parameters: Schema.nullish(),
})

export function asTool({ name, description, parameters }: z.infer<typeof FunctionForm>): Tool {
  return {
    name,
    ...(description === undefined || description === null ? {} : { description }),
    ...(parameters === undefined || parameters === null ? {} : { inputSchema: parameters }),
  }
}

export const ModelName = z.string().min(1).max(256)
export const Temperature = z.number().min(0).max(2).nullish()
export const Share = z.number().min(0).max(1).nullish()
export const Penalty = z.number().min(-2).max(2).nullish()
/** OpenAI's own bounds. */
export const Metadata = z
  .record(z.string().max(64), z.string().max(512))
  .refine((own) => Object.keys(own).length <= 16, 'at most 16 of them')
  .nullish()
/** @param what of that API there is not here */
export const absent = (what: string) => z.null({ error: `${what} cannot be had here` }).optional()
export const TokenCount = z.int().min(1).nullish()
export const ToolChoiceName = z.enum(['auto', 'none', 'required'])
export const Text = z.string().max(LIMITS.messageChars)

/** @throws HttpError bad_request, when a tool is to be called that there is not */
export function checkChoice(name: string | undefined, tools: readonly { readonly name: string }[]): void {
  if (name === undefined || tools.some((tool) => tool.name === name)) return
  throw new HttpError('bad_request', 'names a tool that is not among the tools', { path: 'tool_choice' })
}

export type Choice = z.infer<typeof ToolChoiceName> | { readonly name: string } | undefined

/** Without what was left out or is null. */
export function sampling(
  asked: {
    readonly [Name in keyof Sampling]: Sampling[Name] | null | undefined
  },
): Sampling | undefined {
  const given = Object.entries(asked).filter(([, value]) => value !== undefined && value !== null)
  return given.length === 0 ? undefined : (Object.fromEntries(given) as Sampling)
}

/** An image as a URL, or as one that holds the data. @param path where it stands, for the error */
export function imagePart(url: string, path: string): Part {
  const [, mediaType, data] = /^data:([\w.+-]+\/[\w.+-]+);base64,(.*)$/s.exec(url) ?? []
  if (mediaType !== undefined && data !== undefined) return checked({ type: 'file', mediaType, data }, path)
  return checked({ type: 'file', mediaType: 'image/*', url }, path)
}

export function filePart(data: string, name: string | undefined, path: string): Part {
  const [, mediaType = 'application/octet-stream', base64 = data] = /^data:([^;]+);base64,(.*)$/s.exec(data) ?? []
  return checked({ type: 'file', mediaType, data: base64, ...(name === undefined ? {} : { name }) }, path)
}

/** @param data base64 */
export function audioPart(data: string, format: 'wav' | 'mp3', path: string): Part {
  return checked({ type: 'file', mediaType: format === 'wav' ? 'audio/wav' : 'audio/mpeg', data }, path)
}

function checked(part: Part, path: string): Part {
  const parsed = PartForm.safeParse(part)
  if (parsed.success) return part
  throw new HttpError('bad_request', 'must be a URL of http or https, or a data URL with base64, not too large', {
    path,
  })
}

/** What a function was called with, as text; `{}` where there is none. */
export function parsedArguments(text: string): unknown {
  try {
    return JSON.parse(text === '' ? '{}' : text)
  } catch {
    // A model wrote it: whoever reads it takes what is not JSON as text.
    return text
  }
}

/** The tools are always given: without any the server's own are not offered either, whose calls nobody could see. */
export function contextOf(parts: {
  readonly history: NonNullable<Context['history']>
  readonly instructions: string
  readonly tools: readonly Tool[]
  readonly sampling: Sampling | undefined
}): Context {
  const { history, instructions, tools, sampling: asked } = parts
  return {
    ...(history.length === 0 ? {} : { history }),
    ...(instructions === '' ? {} : { instructions }),
    tools: [...tools],
    ...(asked === undefined ? {} : { sampling: asked }),
  }
}
