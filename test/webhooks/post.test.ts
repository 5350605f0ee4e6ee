import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, test } from 'vitest'
import { post } from '../../server/webhooks/post.ts'

test('a receiver that switches protocols ends the attempt, and does not hold it for ever', async () => {
  const receiver = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      )
    })
  }).listen(0, '127.0.0.1')
  await once(receiver, 'listening')
  const { port } = receiver.address() as AddressInfo
  const answer = await post(
    new URL(`http://127.0.0.1:${port}/`),
    new Uint8Array(3),
    {},
    { timeoutMs: 2000, isPrivateAllowed: true, signal: new AbortController().signal },
  )
  expect(answer).toEqual({ status: undefined, error: 'no answer (broken)' })
  receiver.close()
})
