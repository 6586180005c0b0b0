// FormContent: the values of a question's form, as the page's inputs have them. Pure.
import type { FormContent, FormSchema } from '@parley/protocol'

/** Empty inputs are left out. */
export function contentOf(schema: FormSchema, data: FormData): FormContent {
  const content: FormContent = Object.create(null)
  for (const [name, field] of Object.entries(schema.properties)) {
    const values = data.getAll(name).map(String)
    const [value = ''] = values
    if (field.type === 'boolean') content[name] = values.length > 0
    else if (field.type === 'array') {
      if (values.length > 0 || schema.required?.includes(name) === true) content[name] = values
    } else if (value === '') continue
    else if (field.type !== 'string') content[name] = Number(value)
    else content[name] = field.format === 'date-time' ? withZone(value) : value
  }
  return content
}

/** The value of a local date and time with its zone, or unchanged if it is not valid. */
function withZone(value: string): string {
  const time = Date.parse(value)
  return Number.isNaN(time) ? value : new Date(time).toISOString()
}

/** A date and time as the input shows it, in the zone of this machine. */
export function localTime(value: string | undefined): string | undefined {
  const time = Date.parse(value ?? '')
  if (Number.isNaN(time)) return undefined
  const at = new Date(time)
  const two = (number: number): string => String(number).padStart(2, '0')
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}`
}
