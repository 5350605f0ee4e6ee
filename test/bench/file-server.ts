// The raw limit of retrieving: a bare HTTP server that streams one file, as a process of its own.
//
//     node --import tsx test/bench/file-server.ts PORT FILE
import { createReadStream, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { pipeline } from 'node:stream'

const [port, file = ''] = process.argv.slice(2)
const byteLength = statSync(file).size

createServer((_request, response) => {
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': byteLength,
  })
  pipeline(createReadStream(file, { highWaterMark: 256 * 1024 }), response, () => {})
}).listen(Number(port), '127.0.0.1')
