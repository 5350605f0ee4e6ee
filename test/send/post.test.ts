import { expect, test } from 'vitest'
import { post } from '../../server/send/post.ts'
import { type Play, PlayServer, says } from './play-server.ts'
import { shortTimes } from './support.ts'

const MiB = 1024 * 1024

/** Chunks of a mebibyte, and how many of them were asked for. */
function countedBody(mebibytes: number) {
  const counted = {
    asked: 0,
    isClosed: false,
    async *body() {
      try {
        for (; counted.asked < mebibytes; ) {
          counted.asked++
          yield Buffer.alloc(MiB)
        }
      } finally {
        counted.isClosed = true
      }
    },
  }
  return counted
}

async function posted(play: Play, mebibytes: number, meanwhile: (asked: () => number) => unknown) {
  await using server = await PlayServer.start([play])
  const counted = countedBody(mebibytes)
  const sent = post(
    {
      url: new URL(`${server.base}/studies`),
      headers: {},
      byteLength: mebibytes * MiB,
      body: counted.body(),
      answerBytes: 1000,
      expectsContinue: false,
      onSent() {},
    },
    new AbortController().signal,
    shortTimes,
  )
  sent.catch(() => {})
  await meanwhile(() => counted.asked)
  const answer = await sent
  return { answer, counted }
}

test('asks the body for no more than the connection takes', async () => {
  let readOn = () => {}
  const play: Play = async (request, answer, record) => {
    await new Promise<void>((resolve) => {
      readOn = resolve
    })
    await says(200)(request, answer, record)
  }
  const { answer, counted } = await posted(play, 200, async (asked) => {
    await new Promise((resolve) => setTimeout(resolve, 500))
    // What the buffers of the kernel hold, at both ends, and one chunk.
    expect(asked()).toBeLessThan(32)
    readOn()
  })
  expect([answer.status, answer.isEarly, counted.asked]).toEqual([200, false, 200])
})

test('asks the body for nothing more once the answer is there, and closes it', async () => {
  const play: Play = (request, answer) => {
    request.once('data', () => {
      request.pause()
      answer.writeHead(409).end('no')
    })
    request.resume()
  }
  const { answer, counted } = await posted(play, 2000, () => {})
  expect([answer.status, answer.isEarly, answer.body.toString()]).toEqual([409, true, 'no'])
  expect(counted.asked).toBeLessThan(100)
  expect(counted.isClosed).toBe(true)
})

test('refuses an answer that is longer than it can be', async () => {
  const play = says(200, {}, 'x'.repeat(1001))
  await expect(posted(play, 1, () => {})).rejects.toThrow(/longer than 1000 bytes/)
})
