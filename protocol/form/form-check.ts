// FormCheck: what the fields of a form allow, and whether an answer matches. Pure. It does not import zod, so that browsers can load it
// alone.
import type { FormContent, FormField, FormSchema } from './form.ts'

/** The choices of a field, with their titles; undefined if the field has any value. */
export function choicesOf(field: FormField): readonly { readonly value: string; readonly title: string }[] | undefined {
  const titled = (choices: readonly { readonly const: string; readonly title?: string | undefined }[]) =>
    choices.map((choice) => ({ value: choice.const, title: choice.title ?? choice.const }))
  if (field.type === 'array') {
    const { items } = field
    return 'anyOf' in items ? titled(items.anyOf) : items.enum.map((value) => ({ value, title: value }))
  }
  if (field.type !== 'string') return undefined
  if (field.oneOf !== undefined) return titled(field.oneOf)
  return field.enum?.map((value, index) => ({ value, title: field.enumNames?.[index] ?? value }))
}

/** Why the content does not match the form, for people; undefined if it does. */
export function formProblem(form: FormSchema, content: FormContent): string | undefined {
  for (const name of form.required ?? []) if (!Object.hasOwn(content, name)) return `${name} is required`
  for (const [name, value] of Object.entries(content)) {
    const field = Object.hasOwn(form.properties, name) ? form.properties[name] : undefined
    if (field === undefined) return `the form has no field ${name}`
    const problem = fieldProblem(field, value)
    if (problem !== undefined) return `${name} ${problem}`
  }
  return undefined
}

function fieldProblem(field: FormField, value: FormContent[string]): string | undefined {
  const choices = choicesOf(field)?.map((choice) => choice.value)
  switch (field.type) {
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'must be true or false'
    case 'number':
    case 'integer': {
      const { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY } = field
      if (typeof value !== 'number' || !Number.isFinite(value)) return 'must be a number'
      if (field.type === 'integer' && !Number.isInteger(value)) return 'must be a whole number'
      if (value < minimum) return `must be at least ${minimum}`
      return value > maximum ? `must be at most ${maximum}` : undefined
    }
    case 'array': {
      const { minItems = 0, maxItems = Number.POSITIVE_INFINITY } = field
      if (!Array.isArray(value) || value.some((item) => choices?.includes(item) !== true))
        return 'must be a list of its choices'
      if (new Set(value).size < value.length) return 'must not repeat a choice'
      if (value.length < minItems) return `must have at least ${minItems} choices`
      return value.length > maxItems ? `must have at most ${maxItems} choices` : undefined
    }
    case 'string': {
      if (typeof value !== 'string') return 'must be text'
      if (choices?.includes(value) === false) return 'must be one of its choices'
      const length = [...value].length
      if (length < (field.minLength ?? 0)) return `must have at least ${field.minLength} characters`
      if (length > (field.maxLength ?? length)) return `must have at most ${field.maxLength} characters`
      return hasFormat(value, field.format) ? undefined : `must be a valid ${field.format}`
    }
  }
}

const DATE = /^\d{4}-\d{2}-\d{2}$/
const DATE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/i

function hasFormat(value: string, format: string | undefined): boolean {
  switch (format) {
    case 'email':
      return /^[^\s@]+@[^\s@.]+(\.[^\s@.]+)*$/.test(value)
    case 'uri':
      return URL.canParse(value)
    case 'date':
      return DATE.test(value) && isDay(value)
    case 'date-time':
      return DATE_TIME.test(value) && isDay(value.slice(0, 10)) && !Number.isNaN(Date.parse(value))
    default:
      return true
  }
}

/** Whether the day exists: the 31st of June does not. */
function isDay(date: string): boolean {
  const time = Date.parse(`${date}T00:00:00Z`)
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(date)
}
