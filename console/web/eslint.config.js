/** Strict TypeScript, the rules of hooks, no words of a language in components, no raw HTML. */
import hooks from 'eslint-plugin-react-hooks';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

export default defineConfig(
  { ignores: ['dist/', 'node_modules/', 'e2e/', 'eslint.config.js'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { 'react-hooks': hooks },
    rules: {
      'react-hooks/rules-of-hooks': 'error',
      'react-hooks/exhaustive-deps': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      'no-restricted-syntax': [
        'error',
        { selector: 'JSXText[value=/\\p{L}{2,}/u]', message: 'Words belong in src/i18n.' },
        { selector: 'JSXAttribute[name.name=/^(title|placeholder|aria-label)$/] > Literal[value=/\\p{L}{2,}/u]', message: 'Words belong in src/i18n.' },
        { selector: 'JSXAttribute[name.name="dangerouslySetInnerHTML"]', message: 'Texts of the API are untrusted.' },
      ],
    },
  },
);
