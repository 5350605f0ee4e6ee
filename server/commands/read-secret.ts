import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { OperatorError } from '../operator-error.ts'

type Streams = {
  input: NodeJS.ReadableStream & { isTTY?: boolean }
  output: { write(text: string): unknown }
}

/**
 * Reads a new secret: twice from a person, who does not see what he types, and one line from whatever else the input is.
 *
 * @throws {OperatorError} It was not typed the same.
 */
export async function readNewSecret(
  name: string,
  { input, output }: Streams = { input: process.stdin, output: process.stderr },
): Promise<string> {
  const isPerson = input.isTTY === true
  // Where readline would echo what is typed, nothing comes out.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input, output: nowhere, terminal: isPerson })
  lines.on('SIGINT', () => {
    output.write('\n')
    process.exit(130)
  })
  // One iterator for both: what is typed ahead, or pasted, is kept.
  const typed = lines[Symbol.asyncIterator]()
  async function next(question: string): Promise<string> {
    if (isPerson) output.write(question)
    const { value = '' } = await typed.next()
    if (isPerson) output.write('\n')
    return value
  }
  try {
    const secret = await next(`${name}: `)
    if (isPerson && (await next('The same again: ')) !== secret) {
      throw new OperatorError('Cannot take this: it was not typed the same twice; call it again')
    }
    return secret
  } finally {
    lines.close()
  }
}
