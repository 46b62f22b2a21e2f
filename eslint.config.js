import js from '@eslint/js';
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import tseslint from 'typescript-eslint';

/**
 * The architecture: what each folder of src may use. test/unit/layers.test.ts checks that every folder has an entry.
 *
 * - `imports`: folders and single files that it may import, besides its own folder and the files at the root of src
 * - `types`: folders from which it may import types only
 * - `packages`: packages that it may import
 * - `sdk`: it may import the SDK; 'types': only its types. Other folders take them from sdkTypes.ts
 * - `node`: it may import modules of Node; `nodeTypes`: only their types
 * - `globals`: globals of Node that it may use
 */
const layers = JSON.parse(readFileSync(posix.join(import.meta.dirname, 'src/layers.json'), 'utf8'));
/** Long functions that stay whole: a table of statements, and two that build an object of short methods. */
const longFunctions = ['backends/postgres/sessionSql.ts', 'clientSessions/clientSessions.ts', 'handler/mcpHandler.ts'];

/** The globals that src takes from src/timers.ts. */
const timers = [
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'setImmediate',
  'clearImmediate',
  'Date',
  'performance'
];

const escaped = text => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** A pattern of the modules that a file of `folder` may not import: all but those of `targets` and `packages`. */
function allBut(folder, targets, packages) {
  const files = targets.map(target => {
    const path = posix.relative(folder, target) || '.';
    const prefix = path.startsWith('.') ? path : `./${path}`;
    if (target.endsWith('.js')) return `${escaped(prefix)}$`;
    return `${escaped(prefix)}/${target === '' ? '(?!(?:index|common)\\.)' : ''}[^/]+$`;
  });
  return `^(?!${[...files, ...packages.map(escaped)].join('|')})`;
}

function layer(folder, { imports, types = [], packages = [], sdk, node, nodeTypes, globals = [] }) {
  const own = folder === '.' ? '' : folder;
  const targets = ['', own, ...imports];
  const allowed = (sdkToo, nodeToo) => [
    ...packages,
    ...(sdkToo ? ['mcp-sdk-upstream/'] : []),
    ...(nodeToo ? ['node:'] : [])
  ];
  const values = allBut(own, targets, allowed(sdk === true, node));
  const all = allBut(own, [...targets, ...types], allowed(sdk, node || nodeTypes));
  const message = `See src/layers.json for what src/${own} may import.`;
  return {
    'no-restricted-imports': ['error', { patterns: [{ regex: all, message }] }],
    '@typescript-eslint/no-restricted-imports':
      values === all ? 'off' : ['error', { patterns: [{ regex: values, message, allowTypeImports: true }] }],
    'no-restricted-syntax': [
      'error',
      { selector: `ImportExpression[source.value=/${values.replaceAll('/', '\\u002F')}/]`, message }
    ],
    'no-restricted-globals': [
      'error',
      ...(folder === 'testing' ? [] : timers).map(name => ({
        name,
        message: 'Import it from src/timers.ts, which says why.'
      })),
      ...['Buffer'].filter(name => !globals.includes(name))
    ],
    'max-lines': ['error', 300],
    'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }]
  };
}

const globalsOfNode = {
  console: 'readonly',
  fetch: 'readonly',
  process: 'readonly',
  Request: 'readonly',
  setImmediate: 'readonly',
  URL: 'readonly',
  require: 'readonly',
  module: 'writable'
};

export default tseslint.config(
  { ignores: ['api', 'dist', 'dist-server', '.bench', 'node_modules', 'coverage'] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }]
    }
  },
  { files: ['src/**'], rules: { 'no-console': 'error' } },
  {
    files: ['src/**'],
    ignores: ['src/timers.ts', 'src/testing/**'],
    rules: {
      'no-restricted-properties': [
        'error',
        ...timers.map(property => ({ object: 'globalThis', property, message: 'See src/timers.ts.' }))
      ]
    }
  },
  ...Object.entries(layers).map(([folder, entry]) => ({
    files: [folder === '.' ? 'src/*.ts' : `src/${folder}/*.ts`],
    rules: layer(folder, entry)
  })),
  { files: longFunctions.map(file => `src/${file}`), rules: { 'max-lines-per-function': 'off' } },
  { files: ['src/timers.ts'], rules: { 'no-restricted-globals': 'off' } },
  {
    // The lists of exports take from every folder. No module of src imports them, except server/index.ts and v2/index.ts.
    files: ['src/index.ts', 'src/common.ts'],
    rules: { 'no-restricted-imports': 'off', '@typescript-eslint/no-restricted-imports': 'off' }
  },
  { files: ['**/*.js', '**/*.mjs', '**/*.cjs'], ...tseslint.configs.disableTypeChecked },
  {
    files: ['**/*.mjs', '**/*.cjs'],
    languageOptions: { globals: globalsOfNode },
    rules: { '@typescript-eslint/no-require-imports': 'off' }
  }
);
