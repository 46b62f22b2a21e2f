import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/** Which folders of src a folder may import from: the architecture, checked. */
const layers = {
  'src/engine': ['server', 'memory', 'redis', 'postgres', 'handler'],
  'src/memory': ['server', 'engine', 'redis', 'postgres', 'handler'],
  'src/redis': ['server', 'engine', 'memory', 'postgres', 'handler'],
  'src/postgres': ['server', 'engine', 'memory', 'redis', 'handler']
};

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
  { ignores: ['dist', '.bench', 'node_modules', 'coverage'] },
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
      'no-restricted-globals': [
        'error',
        ...timers.map(name => ({ name, message: 'Import it from src/timers.ts, which says why.' }))
      ],
      'no-restricted-properties': [
        'error',
        ...timers.map(property => ({ object: 'globalThis', property, message: 'See src/timers.ts.' }))
      ]
    }
  },
  ...Object.entries(layers).map(([folder, forbidden]) => ({
    files: [`${folder}/**`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: [...forbidden.map(name => `../${name}/**`), 'node:*'],
              message: `${folder} knows neither a runtime nor these folders`
            }
          ]
        }
      ]
    }
  })),
  { files: ['**/*.js', '**/*.mjs', '**/*.cjs'], ...tseslint.configs.disableTypeChecked },
  {
    files: ['**/*.mjs', '**/*.cjs'],
    languageOptions: { globals: globalsOfNode },
    rules: { '@typescript-eslint/no-require-imports': 'off' }
  }
);
