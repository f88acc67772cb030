import tseslint from 'typescript-eslint'

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/'] },
  ...tseslint.configs.recommended,
  {
    rules: {
      'no-console': 'error',
      'no-eval': 'error',
      eqeqeq: 'error',
      'max-lines': ['error', { max: 300, skipBlankLines: true, skipComments: true }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      'no-restricted-syntax': ['error', { selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']", message: 'Markup is never set from data.' }],
    },
  },
  {
    files: ['src/core/**'],
    rules: { 'no-restricted-imports': ['error', { patterns: ['react', 'react-dom', '@mantine/*', '**/app/**'] }] },
  },
  {
    files: ['**/*.test.ts', '**/*.test.tsx', 'src/app/text/*.ts'],
    rules: { 'max-lines': 'off' },
  },
)
