// npm run test:proxies and test:clients: other people's proxies and clients with this server. They need package registries, so
// `npm test` does not run them. Missing tools are skipped with the reason, in CI as well; with TEST_REQUIRE_TOOLS=yes they are
// failures.
import process from 'node:process'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    reporters: ['default', './scripts/summary-reporter.ts'],
    runner: './scripts/test-runner.ts',
    include: ['test/**/*.outside.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    // Read by the runner of the tests: "true" turns missing programs into failures.
    env: { CI: process.env.TEST_REQUIRE_TOOLS === 'yes' ? 'true' : '' },
    testTimeout: 60_000,
    // The first run installs packages.
    hookTimeout: 900_000,
  },
})
