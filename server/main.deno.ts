import { runCommand } from './cli.ts'
import { listenNodeHttp } from './listen/node-http.ts'

process.exitCode = await runCommand(process.argv.slice(2), process.env, {
  name: 'deno',
  listen: listenNodeHttp,
})
