// The raw limits, as a process of its own: a bare HTTP server that drops the body (`discard`), or writes
// it to one file and syncs that once before it answers (`onefile`).
//
//     node --import tsx test/bench/sink.ts PORT discard|onefile FOLDER
import { open } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { join } from 'node:path'

const [port, mode, folder = '.'] = process.argv.slice(2)
let fileCount = 0

async function discard(request: IncomingMessage): Promise<void> {
  request.resume()
  await new Promise((resolve, reject) => request.once('end', resolve).once('error', reject))
}

async function oneFile(request: IncomingMessage): Promise<void> {
  const file = await open(join(folder, `${fileCount++}.body`), 'wx')
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length; ) {
        at += (await file.write(chunk, at, chunk.length - at)).bytesWritten
      }
    }
    await file.datasync()
  } finally {
    await file.close()
  }
}

const receive = mode === 'onefile' ? oneFile : discard

createServer({ requestTimeout: 0 }, (request, response) => {
  const answer = (status: number, text: string) => {
    response.writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    })
    response.end(text)
  }
  if (request.method === 'GET') answer(200, '{}')
  else
    receive(request).then(
      () => answer(200, '{}'),
      (error) => answer(500, String(error)),
    )
}).listen(Number(port), '127.0.0.1')
