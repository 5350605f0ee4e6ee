import { Hono } from 'hono'
import { expect, test } from 'vitest'
import { PoolWatch } from '../../db/pool-watch.ts'
import type { AppEnv } from '../../server/http/env.ts'
import type { Log } from '../../server/log.ts'
import { limitRequests } from '../../server/overload.ts'
import { answerWhole } from '../../server/wado/answer.ts'

test('an answer is ended that nobody takes, since its request was refused meanwhile', async () => {
  let databaseIsBack = () => {}
  const database = new Promise<void>((resolve) => {
    databaseIsBack = resolve
  })
  let isEnded = false
  const app = new Hono<AppEnv>()
  app.onError((_error, c) => c.text('', 503))
  app.use(limitRequests(new PoolWatch((() => database) as never), 10))
  app.get('/studies', async (c) => {
    await database
    return answerWhole(c, {} as Log, {
      contentType: 'text/plain',
      async *read() {
        try {
          for (;;) yield Buffer.alloc(64 * 1024)
        } finally {
          isEnded = true
        }
      },
    })
  })
  expect((await app.request('/studies')).status).toBe(503)
  databaseIsBack()
  await expect.poll(() => isEnded).toBe(true)
})
