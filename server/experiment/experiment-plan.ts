// ExperimentPlan: the variants of an experiment, their weights and preferred transports. Parses and checks the operator's
// text. Pure.
//
//   first-door: control=50:auto, sse-first=50:sse>websocket
import { PREFERRED_DOORS, type PreferredDoor } from '@parley/protocol'
import { z } from 'zod'

export interface Variant {
  readonly name: string
  /** Its share of the sum of all weights is its share of the users. */
  readonly weight: number
  /** Preferred transports, best first. Undefined: the client's own order. */
  readonly doors?: readonly PreferredDoor[] | undefined
}

export interface ExperimentPlan {
  readonly name: string
  readonly variants: readonly Variant[]
}

/** Each variant is a label value of many metrics. */
const VARIANTS_MAX = 8
const WEIGHT_MAX = 1_000_000
const NAME = /^[A-Za-z0-9_-]{1,32}$/
/** The label value for unknown variants. */
const RESERVED = 'other'
const AUTO = 'auto'
const FORM = 'must have the form first-door: control=50:auto, sse-first=50:sse'

const Name = z.string({ error: FORM }).regex(NAME, { error: 'must have names of 1 to 32 of A-Z a-z 0-9 _ -' })

const WEIGHT = `must have weights that are whole numbers from 0 to ${WEIGHT_MAX}`
const Weight = z.int({ error: WEIGHT }).min(0, { error: WEIGHT }).max(WEIGHT_MAX, { error: WEIGHT })

const DOORS = `must prefer auto, or transports among ${PREFERRED_DOORS.join(', ')}, separated by >, each once`
const Transports = z
  .array(z.enum(PREFERRED_DOORS, { error: DOORS }), { error: FORM })
  .min(1, { error: DOORS })
  .refine((doors) => new Set(doors).size === doors.length, { error: DOORS })

const Plan = z
  .strictObject(
    {
      name: Name,
      variants: z
        .array(z.strictObject({ name: Name, weight: Weight, doors: Transports.optional() }, { error: FORM }), {
          error: FORM,
        })
        .min(2, { error: 'must have at least two variants' })
        .max(VARIANTS_MAX, { error: `must have at most ${VARIANTS_MAX} variants` }),
    },
    { error: FORM },
  )
  .superRefine(({ variants }, context) => {
    const names = variants.map(({ name }) => name)
    const twice = names.find((name, index) => names.indexOf(name) !== index)
    if (twice !== undefined)
      context.addIssue({ code: 'custom', message: `must name each variant once, but contains ${twice} twice` })
    if (names.includes(RESERVED)) context.addIssue({ code: 'custom', message: `must not name a variant ${RESERVED}` })
    if (variants.every(({ weight }) => weight === 0)) {
      context.addIssue({ code: 'custom', message: 'must give at least one variant a weight above 0' })
    }
  })

/** Accepts text, or an object: `{ name, variants: [{ name, weight, doors? }] }`. */
export const ExperimentForm: z.ZodType<ExperimentPlan> = z.unknown().transform((written, context): ExperimentPlan => {
  const parsed = Plan.safeParse(typeof written === 'string' ? split(written) : written)
  if (parsed.success) return parsed.data
  context.addIssue({ code: 'custom', message: parsed.error.issues[0]?.message ?? FORM })
  return z.NEVER
})

/** Splits the text into its parts without checking them. @returns parts that are undefined where the text is malformed */
function split(text: string): unknown {
  const colon = text.indexOf(':')
  if (colon < 0) return undefined
  const variants = text
    .slice(colon + 1)
    .split(',')
    .map((part) => {
      const [, name = '', weight = '', doors = ''] = /^([^=:]*)=([^=:]*):([^=:]*)$/.exec(part.trim()) ?? []
      if (doors.trim() === '') return undefined
      return {
        name: name.trim(),
        weight: /^\d+$/.test(weight.trim()) ? Number(weight) : undefined,
        ...(doors.trim() === AUTO ? {} : { doors: doors.split('>').map((door) => door.trim()) }),
      }
    })
  return { name: text.slice(0, colon).trim(), variants }
}
