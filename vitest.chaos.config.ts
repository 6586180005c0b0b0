// npm run test:chaos: only the tests that take minutes, one after the other.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    reporters: ['default', './scripts/summary-reporter.ts'],
    runner: './scripts/test-runner.ts',
    include: ['**/*.long.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', '.cache/**', 'data/**'],
    pool: 'forks',
    fileParallelism: false,
    maxWorkers: 1,
    // Run every round: each may find different faults.
    bail: 0,
  },
})
