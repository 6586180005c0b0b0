// npm run test:chaos: the tests that take minutes, one after the other, and with them nothing else.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    reporters: ['default', './scripts/summary-reporter.ts'],
    include: ['**/*.long.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', '.cache/**', 'data/**'],
    pool: 'forks',
    fileParallelism: false,
    maxWorkers: 1,
    // Of two rounds one may find what the other does not.
    bail: 0,
  },
})
