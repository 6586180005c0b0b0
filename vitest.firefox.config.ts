// npm run test:firefox: the tests of the page and of the SDK in a page, in Firefox instead of Chromium. The same tests run in
// Chromium as a part of `npm test`.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    reporters: ['default', './scripts/summary-reporter.ts'],
    runner: './scripts/test-runner.ts',
    include: [
      'web/test/*.process.test.ts',
      'web/test/event-source.long.test.ts',
      'client/test/browser.process.test.ts',
    ],
    env: { TEST_BROWSER: 'firefox' },
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 180_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 20_000 } },
  },
})
