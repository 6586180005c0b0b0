// Which tests run, and how: with real processes, sockets and disks, on two cores. Tests that start processes run after the
// others, so that they do not slow them down.
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
/** These replace modules, and so need modules that nobody has loaded before. */
const withMocks = ['**/*.mock.test.ts']

export default defineConfig({
  test: {
    reporters: ['default', './scripts/summary-reporter.ts'],
    runner: './scripts/test-runner.ts',
    pool: 'forks',
    maxWorkers: 2,
    // A browser on two busy cores may need seconds to render. A condition that is true immediately takes no longer.
    expect: { poll: { timeout: 20_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'quick',
          include: ['**/*.test.ts', '**/*.test.tsx'],
          exclude: [...outside, ...withProcesses, ...withMocks],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          // Loading the modules again for each file took a third of the time. Globals and mocks are restored after each test.
          isolate: false,
          restoreMocks: true,
          unstubGlobals: true,
          // With two, the cores would be idle while tests wait.
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'mocks',
          include: withMocks,
          exclude: outside,
          testTimeout: 120_000,
          sequence: { groupOrder: 1 },
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
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
