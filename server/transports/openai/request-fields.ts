// Fields that chat completions and responses have in common, such as tools and sampling, and their conversion. Pure.
import {
  type Context,
  type FilePart,
  FilePart as FilePartSchema,
  LIMITS,
  type Part,
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
  strict: z.boolean().nullish(),
})

export function asTool({ name, description, parameters, strict }: z.infer<typeof FunctionTool>): Tool {
  return { name, ...given({ description, inputSchema: parameters, strict }) }
}

/** In the OpenAPI document, the type may be any other. */
const OtherTool = z.object({ type: z.literal('other').meta({ const: undefined, not: { const: 'function' } }) })

/** @param tool the schema of a tool of type `function`; tools of all other types become `{ type: 'other' }` */
export function Tools<T extends z.core.$ZodTypeDiscriminable>(tool: T) {
  const asOther = (own: unknown): unknown => {
    const type = typeof own === 'object' && own !== null && 'type' in own ? own.type : undefined
    return typeof type === 'string' && type !== 'function' ? { type: 'other' } : own
  }
  const Tool = z.preprocess(asOther, z.discriminatedUnion('type', [tool, OtherTool]))
  return z.array(Tool).max(LIMITS.contextTools).nullish()
}

/**
 * The tools that are functions. The others are left out if the model may choose: agents such as Codex always offer some, and
 * a model does not call what it does not have. They are refused if there is no function, or if the model must call a tool.
 * @throws HttpError bad_request
 */
export function functionsOf<T extends { readonly type: string }>(
  tools: readonly T[] | null | undefined,
  choice: unknown,
): Exclude<T, { type: 'other' }>[] {
  const all = tools ?? []
  const functions = all.filter((tool): tool is Exclude<T, { type: 'other' }> => tool.type !== 'other')
  const other = all.findIndex(({ type }) => type === 'other')
  if (other >= 0 && (functions.length === 0 || choice === 'required')) {
    throw new HttpError('bad_request', 'only tools of type function are supported', { path: `tools.${other}.type` })
  }
  return functions
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
/** A field that may have only this value, which asks for nothing. */
export const only = <T extends z.core.util.Literal>(value: T, error: string) => z.literal(value, { error }).nullish()
export const StreamOptions = z
  .object({
    include_usage: z.boolean().nullish(),
    include_obfuscation: only(false, 'obfuscation is not supported'),
  })
  .nullish()
export const TokenCount = z.int().min(1).nullish()
/** A name that the provider knows. */
export const Word = z.string().min(1).max(32).nullish()
export const Verbosity = z.enum(['low', 'medium', 'high']).nullish()
export const ImageDetail = z.enum(['auto', 'low', 'high', 'original']).nullish()
/** Options that both APIs pass on to the provider. */
export const PassedOn = {
  parallel_tool_calls: z.boolean().nullish(),
  store: z.boolean().nullish(),
  service_tier: Word,
  prompt_cache_key: z.string().max(256).nullish(),
  prompt_cache_retention: Word,
  safety_identifier: z.string().max(256).nullish(),
  user: z.string().max(256).nullish(),
}
export const ToolChoiceName = z.enum(['auto', 'none', 'required'])
/** As long as the body may be. */
export const Text = z.string()

export type Choice = NonNullable<Sampling['toolChoice']> | undefined

/** @throws HttpError bad_request if the model must call a tool that does not exist */
export function checkToolChoice(choice: Choice, tools: readonly { readonly name: string }[]): void {
  const isRequired = choice === 'required' && tools.length === 0
  const isUnknown = typeof choice === 'object' && !tools.some(({ name }) => name === choice.name)
  if (isRequired) throw new HttpError('bad_request', 'requires a tool', { path: 'tool_choice' })
  if (isUnknown) throw new HttpError('bad_request', 'must name one of the tools', { path: 'tool_choice' })
}

type Given<T> = { [Name in keyof T]?: NonNullable<T[Name]> }

/** Omits fields that are undefined or null. */
export function given<T extends object>(fields: T): Given<T> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined && value !== null),
  ) as Given<T>
}

interface JsonFormat {
  readonly name: string
  readonly schema?: Readonly<Record<string, unknown>> | undefined
  readonly description?: string | undefined
  readonly strict?: boolean | null | undefined
}

/** OpenAI's default of `strict` is false. The providers' packages have another. */
export function jsonOf({ strict, ...format }: JsonFormat): NonNullable<Sampling['json']> {
  return { ...given(format), strict: strict ?? false }
}

type PassedOnFields = z.infer<z.ZodObject<typeof PassedOn>>

export function passedOn(fields: PassedOnFields): Sampling {
  return given({
    parallelToolCalls: fields.parallel_tool_calls,
    serviceTier: fields.service_tier,
    promptCacheKey: fields.prompt_cache_key || null,
    promptCacheRetention: fields.prompt_cache_retention,
    safetyIdentifier: fields.safety_identifier || null,
    user: fields.user || null,
  })
}

export type UnsupportedOptions = (model: string, sampling: Sampling) => readonly (keyof Sampling)[]
/** The field of each option that a provider may not support. */
export type OptionFields = Readonly<Partial<Record<keyof Sampling, string>>>
export const OPTION_FIELDS: OptionFields = {
  parallelToolCalls: 'parallel_tool_calls',
  serviceTier: 'service_tier',
}

/** @throws HttpError bad_request that names the field of an option that the provider does not support */
export function checkOptions(model: string, options: readonly (keyof Sampling)[], fields: OptionFields): void {
  const [option] = options
  if (option === undefined) return
  const path = fields[option] ?? option
  throw new HttpError('bad_request', `The model ${model} does not support this value.`, { path })
}

/** @param url a data URL or another URL @param path of the field, for the error */
export function imagePart(url: string, detail: FilePart['detail'] | null, path: string): FilePart {
  const file = fromDataUrl(url) ?? { mediaType: 'image/*', url }
  return checked({ type: 'file', ...file, ...given({ detail }) }, path)
}

export function filePart(data: string, name: string | undefined, path: string): FilePart {
  const file = fromDataUrl(data) ?? { mediaType: 'application/octet-stream', data }
  return checked({ type: 'file', ...file, ...(name === undefined ? {} : { name }) }, path)
}

/** Apart from images, providers fetch only PDFs. */
export function filePartAt(url: string, name: string | undefined, path: string): FilePart {
  const file = fromDataUrl(url) ?? { mediaType: 'application/pdf', url }
  return checked({ type: 'file', ...file, ...(name === undefined ? {} : { name }) }, path)
}

/** Stands for a file in the text of a tool's result. @param index from 0 */
export function fileMark(index: number, { name, mediaType }: FilePart): string {
  return `[file ${index + 1}: ${name ?? mediaType}]`
}

/** Whether a model gets the file, and not only its name. */
export type AcceptsFile = (file: FilePart) => boolean

/**
 * For new input, as OpenAI does. In a history, which its caller cannot change, the model gets the name of such a file.
 * @param path of the part
 * @throws HttpError bad_request if it is a file that the model does not accept
 */
export function checkFile(part: Part, accepts: AcceptsFile, path: string): void {
  if (part.type !== 'file' || accepts(part)) return
  const place = part.url === undefined ? '' : ' by URL'
  throw new HttpError('bad_request', `The model does not accept files of type ${part.mediaType}${place}.`, { path })
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

/** Always sets the tools: an empty list disables the server's own tools, whose calls this API could not show. */
export function contextOf(parts: {
  readonly history: NonNullable<Context['history']>
  readonly instructions: string
  readonly tools: readonly Tool[]
  readonly sampling: Sampling
}): Context {
  const { history, instructions, tools, sampling } = parts
  // Unlike the history, these stay in the log, and every reader gets them.
  if (stringifyJson([tools, sampling]).length > LIMITS.frameBytes) {
    throw new HttpError('bad_request', `The tools and options exceed ${LIMITS.frameBytes} characters as JSON.`)
  }
  return {
    ...(history.length === 0 ? {} : { history }),
    ...(instructions === '' ? {} : { instructions }),
    tools: [...tools],
    ...(Object.keys(sampling).length === 0 ? {} : { sampling }),
  }
}
