import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'

/** Reads one line from a person, without showing it, or from whatever standard input is. */
export async function readSecret(question: string): Promise<string> {
  const { stdin, stderr } = process
  const isPerson = stdin.isTTY === true
  if (isPerson) stderr.write(question)
  // Where readline would echo what is typed, nothing comes out.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: stdin, output: nowhere, terminal: isPerson })
  lines.on('SIGINT', () => {
    stderr.write('\n')
    process.exit(130)
  })
  try {
    for await (const line of lines) return line
    return ''
  } finally {
    lines.close()
    if (isPerson) stderr.write('\n')
  }
}
