// Measures what a browser does to open a record of 500 resources, in Node:
// npm run bench. The TypeScript is compiled by Vite in memory.
import { runnerImport } from 'vite'

const { module } = await runnerImport(new URL('../src/core/bench.ts', import.meta.url).pathname, { configFile: false, logLevel: 'error' })
await module.main()
