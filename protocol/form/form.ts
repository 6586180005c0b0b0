// Form: the schema of a question to a person, and the answer. It is the flat subset of JSON Schema that MCP elicitation has: an
// object of texts, numbers, booleans and choices. form-check.ts checks an answer.
import { z } from 'zod'
import { LIMITS } from '../limits.ts'

const about = { title: z.string().max(256).optional(), description: z.string().max(4096).optional() }
const Length = z.int().min(0)
const Names = z.array(z.string()).max(LIMITS.formFields)
const Choices = z.array(z.object({ const: z.string(), title: z.string().optional() })).min(1)
const Options = z.array(z.string()).min(1)

const TextField = z.object({
  type: z.literal('string'),
  ...about,
  minLength: Length.optional(),
  maxLength: Length.optional(),
  /** `email`, `uri`, `date` and `date-time` are checked. */
  format: z.string().max(64).optional(),
  /** One of these. */
  enum: Options.optional(),
  /** Titles of `enum`, in its order. */
  enumNames: z.array(z.string()).optional(),
  /** One of these, with titles. */
  oneOf: Choices.optional(),
  default: z.string().optional(),
})

const NumberField = z.object({
  type: z.enum(['number', 'integer']),
  ...about,
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  default: z.number().optional(),
})

const BooleanField = z.object({ type: z.literal('boolean'), ...about, default: z.boolean().optional() })

/** Several of the choices. */
const ChoicesField = z.object({
  type: z.literal('array'),
  ...about,
  items: z.union([z.object({ enum: Options }), z.object({ anyOf: Choices })]),
  minItems: Length.optional(),
  maxItems: Length.optional(),
  default: z.array(z.string()).optional(),
})

export const FormField = z.discriminatedUnion('type', [TextField, NumberField, BooleanField, ChoicesField])
export type FormField = z.infer<typeof FormField>

/** Keywords outside the subset are dropped. */
export const FormSchema = z.object({
  type: z.literal('object'),
  properties: z
    .record(z.string().min(1).max(128), FormField)
    .refine(
      (fields) => Object.keys(fields).length <= LIMITS.formFields,
      `must have at most ${LIMITS.formFields} fields`,
    ),
  required: Names.optional(),
})
export type FormSchema = z.infer<typeof FormSchema>

/** `accept` sends the form, `decline` refuses to, and `cancel` closes it without a choice. */
export const QuestionAction = z.enum(['accept', 'decline', 'cancel'])
export type QuestionAction = z.infer<typeof QuestionAction>

/** The values of a form, by field. */
export const FormContent = z.record(
  z.string().max(128),
  z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]),
)
export type FormContent = z.infer<typeof FormContent>
