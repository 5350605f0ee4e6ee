import { chmod, open } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { Hono } from 'hono'
import { expect, test } from 'vitest'
import type { AppEnv } from '../../server/http/env.ts'
import type { HttpProblem } from '../../server/http/problem.ts'
import type { WadoDeps } from '../../server/wado/deps.ts'
import { wadoRoutes } from '../../server/wado/routes.ts'
import { deleted, type MadeStudy, madeStudy } from '../deletion/support.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { nothingHeld, type TestIntake, testIntake } from '../support/intake.ts'

type Made = MadeStudy['instances'][number]

/** Writes zeros over the metadata of the one instance, and the end of its file. */
async function spoilMetadata({ db, folder }: TestIntake): Promise<void> {
  const [row] = await db.sql`
    select g.segment_id as id, i.segment_offset::int as offset, i.byte_length::int as length, i.metadata_length as more
    from instances i join segments g using (segment_key)`
  const { id, offset, length, more } = row as Record<'offset' | 'length' | 'more', number> & {
    id: string
  }
  const path = join(folder, id.slice(-2), `${id}.segment`)
  await chmod(path, 0o640)
  await using file = await open(path, 'r+')
  await file.write(Buffer.alloc(more + 1), 0, more + 1, offset + length - 1)
}

/** Asks for metadata of a study in this archive. */
function asking(t: TestIntake, studyInstanceUID: string) {
  const app = new Hono<AppEnv>()
  app.use(async (c, next) => {
    c.set('baseURL', 'http://localhost')
    await next()
  })
  app.onError((error) => new Response(null, { status: (error as HttpProblem).status }))
  app.route('/dicom-web', wadoRoutes({ ...t, log: console } as unknown as WadoDeps))
  return (headers = {}) =>
    app.request(`/dicom-web/studies/${studyInstanceUID}/metadata`, { headers })
}

test.each(['identity', 'gzip'])(
  'metadata in %s are what is stored, however often they were read before (P8)',
  async (coding) => {
    await using t = await testIntake(nothingHeld)
    const study = madeStudy(1, 3)
    const [first, second, third] = study.instances as [Made, Made, Made]
    const ask = asking(t, study.studyInstanceUID)
    const read = async () => {
      const answer = await ask({ 'accept-encoding': coding })
      const bytes = Buffer.from(await answer.arrayBuffer())
      return JSON.parse((coding === 'gzip' ? gunzipSync(bytes) : bytes).toString()).length
    }
    await t.send([first.file, second.file])
    expect([await read(), await read()]).toEqual([2, 2])
    await t.send([third.file])
    expect([await read(), await read()]).toEqual([3, 3])
    const { studyInstanceUID } = study
    await deleted(t.db, { ...first, studyInstanceUID })
    expect([await read(), await read()]).toEqual([2, 2])
    await deleted(t.db, { studyInstanceUID })
    expect((await ask({ 'accept-encoding': coding })).status).toBe(410)
  },
)

test('metadata that were read while they were damaged are not given any more when they are healed (P6)', async () => {
  await using t = await testIntake(nothingHeld)
  const studyInstanceUID = uniqueUID()
  const file = dicomFile({ studyInstanceUID })
  await t.send([file])
  const ask = asking(t, studyInstanceUID)
  const good = await ask()
  const text = await good.text()
  // Another version, in which it is damaged, and nobody knows.
  await t.db.sql`update studies set study_description = study_description`
  await spoilMetadata(t)
  const spoiled = await ask()
  expect(await spoiled.text()).not.toBe(text)
  // What is read again is found to be damaged, and can be sent again.
  await t.db.sql`update instances set damaged_at = now()`
  await t.db.sql`update series set damaged_instance_count = 1`
  await t.db.sql`update studies set damaged_instance_count = 1`
  expect((await t.send([file])).state).toBe('committed')
  const healed = await ask({ 'if-none-match': spoiled.headers.get('etag') })
  expect(healed.status).toBe(200)
  expect(await healed.text()).toBe(text)
})
