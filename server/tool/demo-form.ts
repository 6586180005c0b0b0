// DemoForm: the tool with which the demo model shows a question to a person: `/demo tool=demo_form`.
import type { FormSchema } from '@parley/protocol'
import { z } from 'zod'
import { defineTool } from './define-tool.ts'

const ORDER: FormSchema = {
  type: 'object',
  properties: {
    size: {
      type: 'string',
      title: 'Size',
      oneOf: [
        { const: 's', title: 'Small' },
        { const: 'l', title: 'Large' },
      ],
    },
    toppings: { type: 'array', title: 'Toppings', items: { enum: ['Basil', 'Capers', 'Olives'] }, maxItems: 2 },
    count: { type: 'integer', title: 'How many?', minimum: 1, maximum: 9, default: 1 },
    name: { type: 'string', title: 'Name', description: 'For the label on the box.', maxLength: 40 },
    spicy: { type: 'boolean', title: 'Spicy' },
  },
  required: ['size', 'count'],
}

export const demoForm = defineTool({
  name: 'demo_form',
  description: 'Asks the person to fill in a form, and returns the answer.',
  inputSchema: z.object({
    message: z.string().optional(),
    /** Default: an order. */
    schema: z.record(z.string(), z.unknown()).optional(),
  }),
  idempotent: true,
  execute: ({ message = 'Which pizza would you like?', schema = ORDER }, { ask }) =>
    ask({ message, schema: schema as FormSchema }),
})
