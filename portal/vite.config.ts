import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'
import { sri } from './scripts/sri.ts'

// The gateway serves the build under a Content-Security-Policy without inline
// script or style, so nothing may be inlined: no data: assets, no preload
// polyfill, every file by its hashed name.
export default defineConfig({
  base: './',
  plugins: [react(), sri()],
  build: {
    target: ['chrome120', 'firefox121', 'safari17.4'],
    outDir: 'dist',
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    sourcemap: false,
    reportCompressedSize: true,
  },
  test: {
    environment: 'node',
    include: ['src/**/*.test.ts', 'src/**/*.test.tsx', 'scripts/**/*.test.ts'],
    setupFiles: ['scripts/draws.ts'],
    testTimeout: 60_000,
    pool: 'threads',
    maxWorkers: 1,
  },
})
