// Which tests run, and how: with real processes, sockets and disks, on two cores. The two projects run one after the other,
// so that tests that start processes do not slow down the others.
import { defineConfig } from 'vitest/config'

/** `npm run test:chaos` and others run these (CONTRIBUTING.md). */
const outside = [
  '**/node_modules/**',
  '**/dist/**',
  '.cache/**',
  'data/**',
  '**/*.long.test.ts',
  '**/*.soak.test.ts',
  '**/*.fuzz.test.ts',
  '**/*.outside.test.ts',
]
/** These start servers, kill them, or drive a browser, and wait most of the time. */
const withProcesses = ['**/*.process.test.ts']

export default defineConfig({
  test: {
    reporters: ['default', './scripts/summary-reporter.ts'],
    runner: './scripts/test-runner.ts',
    pool: 'forks',
    maxWorkers: 2,
    // A browser on two busy cores may need seconds to render. A condition that is true immediately takes no longer.
    expect: { poll: { timeout: 10_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'quick',
          include: ['**/*.test.ts', '**/*.test.tsx'],
          exclude: [...outside, ...withProcesses],
          testTimeout: 30_000,
          hookTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'processes',
          include: withProcesses,
          exclude: outside,
          testTimeout: 180_000,
          hookTimeout: 60_000,
          // With two, a quarter of the cores would be idle.
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
