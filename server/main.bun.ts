import { runCommand } from './cli.ts'
import { listenNodeHttp } from './listen/node-http.ts'

process.exitCode = await runCommand(process.argv.slice(2), process.env, {
  name: 'bun',
  listen: listenNodeHttp,
})
// The client of the database forgets a timer when Postgres went away meanwhile; nobody waits for that.
setTimeout(() => process.exit(), 1000).unref()
