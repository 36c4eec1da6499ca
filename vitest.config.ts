// How the tests run: one Postgres server for all of them, packages resolved to their sources, files in parallel.
import { defineConfig } from 'vitest/config';

// Also handed to Node in the workers, so that nothing in a test loads a built package.
const conditions = ['@pawl/source', 'node'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    // One after the other: the model keeps all cores busy on its own, while others have a second for what they wait for.
    projects: [
      {
        extends: true,
        test: {
          name: 'suite',
          include: ['packages/*/src/**/*.test.ts', 'test/**/*.test.ts', 'examples/*/src/**/*.test.ts'],
          exclude: ['test/model/**', '**/node_modules/**'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: 'model', include: ['test/model/**/*.test.ts'], sequence: { groupOrder: 1 } },
      },
    ],
    globalSetup: ['test/support/server.ts'],
    pool: 'forks',
    // Vitest leaves a core free, which on two cores means one file at a time. More files than cores take no less time
    // and stand in each other's way: many tests start processes of their own.
    maxWorkers: '100%',
    testTimeout: 30_000,
    // Polling waits for an event; how long that takes on a busy machine is not what is tested.
    expect: { poll: { timeout: 20_000 } },
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    reporters: process.env['VITEST_REPORT']
      ? ['default', ['json', { outputFile: process.env['VITEST_REPORT'] }]]
      : ['default'],
  },
});
