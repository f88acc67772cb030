// Runs src/core/bridge.ts under Node for the Go test beside package.json: the
// TypeScript is compiled by Vite in memory, nothing is written.
import { runnerImport } from 'vite'

const { module } = await runnerImport(new URL('../src/core/bridge.ts', import.meta.url).pathname, { configFile: false, logLevel: 'error' })
await module.main()
