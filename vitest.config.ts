// Which tests run and how: real processes, sockets and disks, on as little as two cores.
// Two projects, one after the other, so that tests which start processes do not starve the others.
import { defineConfig } from 'vitest/config'

/** `*.long.test.ts`: npm run test:chaos. */
const outside = ['**/node_modules/**', '**/dist/**', '.cache/**', 'data/**', '**/*.long.test.ts']
/** They start servers, kill them, or drive a browser, and wait for most of their time. */
const withProcesses = ['**/*.process.test.ts']

export default defineConfig({
  test: {
    reporters: ['default', './scripts/summary-reporter.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // A browser on two busy cores may take seconds to draw; what holds at once is not slower for it.
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
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
