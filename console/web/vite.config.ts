/** How the page is built: static files under `dist/` which the console binary embeds and serves at `/`. */
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2022',
    // The console's content security policy allows only files of its own origin: no data: URLs.
    assetsInlineLimit: 0,
    sourcemap: false,
    chunkSizeWarningLimit: 1400,
  },
  server: {
    proxy: {
      '/api': { target: process.env['DONGSON_CONSOLE'] ?? 'https://127.0.0.1:8443', secure: false },
    },
  },
  test: { include: ['tests/**/*.test.ts'], environment: 'node' },
});
