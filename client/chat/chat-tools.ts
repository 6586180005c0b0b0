// The tools that `parley chat` offers to the model. They run on the user's machine.
import { readdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type ClientTool, tool } from '../index.ts'

const MAX_ENTRIES = 200

export const CHAT_TOOLS: readonly ClientTool[] = [
  tool({
    name: 'local_time',
    description: 'The current time and time zone on the user’s machine.',
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
    description: 'Lists the files and folders in a folder on the user’s machine. The user must approve each call.',
    inputSchema: {
      type: 'object',
      properties: { path: { type: 'string', description: 'Default: the folder in which parley was started.' } },
      additionalProperties: false,
    },
    approval: true,
    execute: async ({ path = '.' }) => {
      const folder = resolve(path)
      const entries = await readdir(folder, { withFileTypes: true })
      const names = entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort()
      return { folder, names: names.slice(0, MAX_ENTRIES), more: Math.max(0, names.length - MAX_ENTRIES) }
    },
  }),
]
