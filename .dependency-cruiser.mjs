// Who may import whom. The layers are those of ARCHITECTURE.md: data flows down, nothing imports upward.
const core = '^packages/core/src/';
const test = String.raw`\.test\.ts$`;

/** Layers from the bottom up; each may import itself and those before it. A folder that is not here is a leaf. */
const layers = ['store', 'engine', 'worker', 'app'];
const entryPoints = String.raw`(http|client|cli|testing)/|index\.ts$`;

const upward = layers.map((layer, level) => ({
  name: `${layer}-imports-upward`,
  comment: `${layer} knows nothing of the layers above it: hand what it needs down from app.`,
  severity: 'error',
  from: { path: `${core}${layer}/`, pathNot: test },
  to: {
    path: `${core}(${layers
      .slice(level + 1)
      .map((above) => `${above}/|`)
      .join('')}${entryPoints})`,
  },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'no-cycle',
      comment: 'Two modules that need each other at run time are one module, or hide a third one.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    ...upward,
    {
      name: 'leaf-imports-upward',
      comment: 'codec, errors, telemetry and their like import nothing but leaves.',
      severity: 'error',
      from: {
        path: `${core}[^/]+/`,
        pathNot: [`${core}(${layers.join('|')}|http|client|cli|testing)/`, test],
      },
      to: { path: `${core}((${layers.join('|')})/|${entryPoints})` },
    },
    {
      name: 'leaf-does-io',
      comment: 'Leaves do no I/O.',
      severity: 'error',
      from: {
        path: `${core}[^/]+/`,
        pathNot: [`${core}(${layers.join('|')}|http|client|cli|testing)/`, test],
      },
      to: { path: '^(node:)?(fs|net|tls|http|https|http2|dgram|child_process|worker_threads|cluster)(/|$)' },
    },
    {
      name: 'product-imports-its-own-index',
      comment: 'index.ts is the list of exports: it is imported from outside the package alone.',
      severity: 'error',
      from: { path: core, pathNot: test },
      to: { path: `${core}index\\.ts$` },
    },
    {
      name: 'driver-outside-store',
      comment: 'Only store talks to a database. The types of a driver may be named elsewhere.',
      severity: 'error',
      from: { path: core, pathNot: [`${core}(store|testing)/`, test] },
      to: { path: 'node_modules/(pg|@electric-sql/pglite)/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'adapter-reaches-into-core',
      comment: 'Adapters import @pawl/core and @pawl/core/http, as any other user could.',
      severity: 'error',
      from: { path: '^packages/(?!core/)[^/]+/src/', pathNot: test },
      to: { path: '^packages/core/', pathNot: `${core}(http/)?index\\.ts$` },
    },
    {
      name: 'adapter-imports-adapter',
      severity: 'error',
      from: { path: '^packages/(?!core/)([^/]+)/src/' },
      to: { path: '^packages/(?!core/)([^/]+)/', pathNot: '^packages/$1/' },
    },
    {
      name: 'user-reaches-into-a-package',
      comment: 'Examples and benchmarks use packages through their exports.',
      severity: 'error',
      from: { path: '^(examples|bench)/' },
      to: {
        path: '^packages/',
        pathNot: [String.raw`^packages/[^/]+/src/index\.ts$`, `${core}(http|testing)/index\\.ts$`],
      },
    },
    {
      name: 'product-imports-tests',
      severity: 'error',
      from: { path: '^(packages|examples)/', pathNot: test },
      to: { path: `^test/|${test}` },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['@pawl/source', 'import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json', '.d.ts'],
    },
  },
};
