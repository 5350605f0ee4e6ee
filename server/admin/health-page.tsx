/** @jsxImportSource hono/jsx */
import { Hono } from 'hono'
import {
  readDatabaseFacts,
  readLateness,
  readSigns,
  readThroughput,
  readTimesToStable,
} from '../../db/health.ts'
import { studiesUnderWay } from '../../db/study-list.ts'
import { HealthPage, type HealthView, healthRegions } from '../../web/pages/health-page.tsx'
import { paths } from '../../web/paths.ts'
import { htmlResponse } from '../../web/respond.tsx'
import type { AppEnv } from '../http/env.ts'
import type { PageDeps } from './deps.ts'
import { freeSpace } from './disk.ts'
import { memo } from './memo.ts'

const [hours, days] = [24, 30]

/** Database, disk, scheduler, throughput. */
export function healthPage(deps: PageDeps): Hono<AppEnv> {
  const { db, intake, storeDir } = deps
  // Over many transfers these sums take long, and change slowly.
  const sums = memo(30_000, async () => {
    const [byHour, byDay, timesToStable, lateness] = await Promise.all([
      readThroughput(db, 'hour', hours),
      readThroughput(db, 'day', days),
      readTimesToStable(db),
      readLateness(db, hours),
    ])
    return { byHour, byDay, timesToStable, lateness }
  })
  const view = memo(1000, async (): Promise<HealthView> => {
    const askedAt = performance.now()
    const database = await readDatabaseFacts(db)
    const answerMs = performance.now() - askedAt
    const underWay = await studiesUnderWay(db, intake.untoldStudies)
    const [signs, space, summed, isWritable] = await Promise.all([
      readSigns(db, underWay),
      freeSpace(storeDir),
      sums(),
      deps.store.probe().then(
        () => true,
        () => false,
      ),
    ])
    return { database: { ...database, answerMs }, signs, space, isWritable, ...summed }
  })
  return new Hono<AppEnv>()
    .get(paths.health, async (c) => {
      const [found, shell] = await Promise.all([view(), deps.shell.read(c)])
      return htmlResponse(<HealthPage shell={shell} view={found} />)
    })
    .get(paths.live('health'), (c) =>
      deps.stream(c, 'health', 'health', async () => healthRegions(await view())),
    )
}
