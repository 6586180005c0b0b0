// npm run test:chaos, test:soak and test:fuzz: the tests that take minutes or hours, one after the other.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    reporters: ['default', './scripts/summary-reporter.ts'],
    runner: './scripts/test-runner.ts',
    include: ['**/*.long.test.ts', '**/*.soak.test.ts', '**/*.fuzz.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', '.cache/**', 'data/**'],
    pool: 'forks',
    fileParallelism: false,
    maxWorkers: 1,
    testTimeout: 180_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 10_000 } },
    // Run every round: each may find different faults.
    bail: 0,
  },
})
