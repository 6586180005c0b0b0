// demo_report: a server tool that only the demo model is offered. It shows progress and data, so that readers can be tried without a
// tool of one's own.
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { defineTool } from './define-tool.ts'

const Input = z.object({
  steps: z.int().min(1).max(1_000).default(3),
  /** Milliseconds between two steps. */
  ms: z.int().min(0).max(10_000).default(200),
})

export const demoReport = defineTool({
  name: 'demo_report',
  description: 'Counts steps, and shows its progress and a table.',
  inputSchema: Input,
  async execute({ steps, ms }, { signal, data, progress }) {
    for (let done = 1; done <= steps; done += 1) {
      if (done > 1) await sleep(ms, undefined, { signal })
      progress({ text: `Step ${done}`, done, total: steps })
      data(
        'report',
        { rows: Array.from({ length: Math.min(done, 100) }, (_, row) => [row + 1, (row + 1) ** 2]) },
        { id: 'report' },
      )
    }
    return { steps }
  },
})
