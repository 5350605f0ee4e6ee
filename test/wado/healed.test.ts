import { chmod, open } from 'node:fs/promises'
import { join } from 'node:path'
import { Hono } from 'hono'
import { expect, test } from 'vitest'
import type { AppEnv } from '../../server/http/env.ts'
import type { WadoDeps } from '../../server/wado/deps.ts'
import { wadoRoutes } from '../../server/wado/routes.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { nothingHeld, type TestIntake, testIntake } from '../support/intake.ts'

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

test('metadata that were read while they were damaged are not given any more when they are healed (P6)', async () => {
  await using t = await testIntake(nothingHeld)
  const app = new Hono<AppEnv>()
  app.use(async (c, next) => {
    c.set('baseURL', 'http://localhost')
    await next()
  })
  app.route('/dicom-web', wadoRoutes({ ...t, log: console } as unknown as WadoDeps))
  const studyInstanceUID = uniqueUID()
  const file = dicomFile({ studyInstanceUID })
  await t.send([file])
  const ask = (headers = {}) =>
    app.request(`/dicom-web/studies/${studyInstanceUID}/metadata`, { headers })
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
