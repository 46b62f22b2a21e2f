import { availableParallelism } from 'node:os';

const tsconfig = {
  module: 'commonjs',
  moduleResolution: 'bundler',
  isolatedModules: true,
  verbatimModuleSyntax: false
};

/** Another version of the SDK than the one that is installed: see test/swap/sdkVersions.mjs. */
const otherSdk = process.env.ANYPOD_SDK && {
  '^mcp-sdk-upstream/(.*)$': `${process.env.ANYPOD_SDK}/dist/cjs/$1`,
  '^#client-auth$': `${process.env.ANYPOD_SDK}/dist/cjs/client/auth.js`,
  '^#tasks-in-memory$': `${process.env.ANYPOD_SDK}/dist/cjs/experimental/tasks/stores/in-memory.js`
};

const project = name => ({
  displayName: name,
  testEnvironment: 'node',
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  transform: { '\\.tsx?$': ['ts-jest', { tsconfig, diagnostics: false }] },
  moduleNameMapper: {
    '^mcp-sdk-anypod$': '<rootDir>/src/index.ts',
    '^mcp-sdk-anypod/server$': '<rootDir>/src/server/index.ts',
    '^mcp-sdk-anypod/session-store$': '<rootDir>/src/applicationData/index.ts',
    '^mcp-sdk-anypod/client-sessions$': '<rootDir>/src/clientStorage/index.ts',
    '^mcp-sdk-anypod/tmcp$': '<rootDir>/src/tmcp/index.ts',
    '^mcp-sdk-anypod/otel$': '<rootDir>/src/otel/index.ts',
    '^mcp-sdk-anypod/testing$': '<rootDir>/src/testing/index.ts',
    '^mcp-sdk-anypod/server/(.*)\\.js$': '<rootDir>/src/server/$1.ts',
    '^mcp-sdk-anypod/(.*\\.js)$': 'mcp-sdk-upstream/$1',
    ...otherSdk,
    '^(\\.{1,2}/.*)\\.js$': '$1'
  }
});

/** Of the cluster tests, which all run on Redis, those that show most on Postgres. `ANYPOD_BACKEND=postgres` runs any. */
const onPostgres = ['recovery', 'endings', 'routingRequests', 'resume'];

export default {
  projects: [
    ...[
      'unit',
      'oracle',
      'service',
      'cluster',
      'balancers',
      'soak',
      'examples',
      'conformance',
      'distributed',
      'runtimes',
      'model',
      'swap'
    ].map(project),
    {
      ...project('postgres'),
      testMatch: onPostgres.map(name => `<rootDir>/test/cluster/${name}.test.ts`),
      setupFiles: ['<rootDir>/test/support/servers/onPostgres.ts']
    }
  ],
  // Of two cores, three: most tests wait for other processes a third of their time.
  maxWorkers: Math.ceil(availableParallelism() * 1.5),
  testSequencer: '<rootDir>/test/support/slowFirst.mjs',
  // A worker that has run many files, compilers among them, is replaced.
  workerIdleMemoryLimit: '1GB',
  // Generous, because it is a limit and not a wait: two cores serve every pod, client and Redis of a run.
  testTimeout: 60_000,
  // A test that fails may leave a connection open; then a report is worth more than a run that waits for ever.
  forceExit: Boolean(process.env.CI)
};
