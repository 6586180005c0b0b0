// ExperimentPlan: which variants there are, how much weight each has, and which doors it prefers: as an operator writes it,
// and checked. Pure.
//
//   first-door: control=50:auto, sse-first=50:sse>websocket
import { PREFERRED_DOORS, type PreferredDoor } from '@parley/protocol'
import { z } from 'zod'

export interface Variant {
  readonly name: string
  /** Its part of the sum of all weights is its part of the users. */
  readonly weight: number
  /** Best first. Left out: the client's own order. */
  readonly doors?: readonly PreferredDoor[] | undefined
}

export interface ExperimentPlan {
  readonly name: string
  readonly variants: readonly Variant[]
}

/** Each is a value of a label on many metrics. */
const VARIANTS_MAX = 8
const WEIGHT_MAX = 1_000_000
const NAME = /^[A-Za-z0-9_-]{1,32}$/
/** What metrics call a variant that is on no list. */
const RESERVED = 'other'
const AUTO = 'auto'
const FORM = 'must be such as first-door: control=50:auto, sse-first=50:sse'

const Name = z.string({ error: FORM }).regex(NAME, { error: 'must have names of 1 to 32 of A-Z a-z 0-9 _ -' })

const WEIGHT = `must have weights that are whole numbers from 0 to ${WEIGHT_MAX}`
const Weight = z.int({ error: WEIGHT }).min(0, { error: WEIGHT }).max(WEIGHT_MAX, { error: WEIGHT })

const DOORS = `must prefer auto, or doors of ${PREFERRED_DOORS.join(', ')} with > between, each once`
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
        .min(2, { error: 'must have two variants at least' })
        .max(VARIANTS_MAX, { error: `must have ${VARIANTS_MAX} variants at most` }),
    },
    { error: FORM },
  )
  .superRefine(({ variants }, context) => {
    const names = variants.map(({ name }) => name)
    const twice = names.find((name, index) => names.indexOf(name) !== index)
    if (twice !== undefined)
      context.addIssue({ code: 'custom', message: `must name each variant once, and has ${twice} twice` })
    if (names.includes(RESERVED))
      context.addIssue({ code: 'custom', message: `must have no variant named ${RESERVED}` })
    if (variants.every(({ weight }) => weight === 0)) {
      context.addIssue({ code: 'custom', message: 'must give some variant a weight' })
    }
  })

/** Takes text, or the same as an object: `{ name, variants: [{ name, weight, doors? }] }`. */
export const ExperimentForm: z.ZodType<ExperimentPlan> = z.unknown().transform((written, context): ExperimentPlan => {
  const parsed = Plan.safeParse(typeof written === 'string' ? split(written) : written)
  if (parsed.success) return parsed.data
  context.addIssue({ code: 'custom', message: parsed.error.issues[0]?.message ?? FORM })
  return z.NEVER
})

/** Parts only: what they hold is judged after. @returns what is no plan where it does not come apart */
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
