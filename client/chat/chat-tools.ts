// Tools that `parley chat` offers to the model: they run on the machine where the person sits.
import { readdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type ClientTool, tool } from '../index.ts'

const ENTRIES_MAX = 200

export const CHAT_TOOLS: readonly ClientTool[] = [
  tool({
    name: 'local_time',
    description: 'The present time and time zone on the machine where the person sits.',
    inputSchema: { type: 'object', properties: {}, additionalProperties: false },
    execute: () => {
      const now = new Date()
      return {
        iso: now.toISOString(),
        local: now.toString(),
        timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      }
    },
  }),
  tool<{ path?: string }>({
    name: 'list_folder',
    description:
      'Names of the files and folders in a folder on the machine where the person sits. They are asked first.',
    inputSchema: {
      type: 'object',
      properties: { path: { type: 'string', description: 'Default: the folder where parley was started.' } },
      additionalProperties: false,
    },
    approval: true,
    execute: async ({ path = '.' }) => {
      const folder = resolve(path)
      const entries = await readdir(folder, { withFileTypes: true })
      const names = entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort()
      return { folder, names: names.slice(0, ENTRIES_MAX), more: Math.max(0, names.length - ENTRIES_MAX) }
    },
  }),
]
