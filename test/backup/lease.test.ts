import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { endBackupLease, renewBackupLease, takeBackupLease } from '../../db/backups.ts'
import { deleteDoomedSegments } from '../../server/intake/sweep.ts'
import { compact, deleted, filesOfStudy, madeStudy } from '../deletion/support.ts'
import { nothingHeld, testIntake } from '../support/intake.ts'

test('what was kept when a backup began stays in the store until it is done, whatever is deleted', async () => {
  await using archive = await testIntake(nothingHeld)
  const study = madeStudy()
  await archive.send(filesOfStudy(study))
  const backupID = randomUUID()
  expect(await takeBackupLease(archive.db, backupID, 60)).toBe(true)
  await deleted(archive.db, { studyInstanceUID: study.studyInstanceUID })
  await compact(archive)
  expect(await archive.storedBytes()).toBeGreaterThan(0)
  expect(await deleteDoomedSegments(archive.db, archive.store)).toBe(0)
  await endBackupLease(archive.db, backupID)
  expect(await deleteDoomedSegments(archive.db, archive.store)).toBe(1)
  expect(await archive.storedBytes()).toBe(0)
})

test('one backup at a time has the lease, and one that lost it is told', async () => {
  await using archive = await testIntake(nothingHeld)
  const { db } = archive
  const [first, second] = [randomUUID(), randomUUID()]
  expect(await takeBackupLease(db, first, 60)).toBe(true)
  expect(await takeBackupLease(db, second, 60)).toBe(false)
  expect(await renewBackupLease(db, first, 60)).toBe(true)
  await db.sql`update backup_lease set lease_until = clock_timestamp() - interval '1 s'`
  expect(await renewBackupLease(db, first, 60)).toBe(false)
  expect(await takeBackupLease(db, second, 60)).toBe(true)
  await endBackupLease(db, first)
  expect(await renewBackupLease(db, second, 60)).toBe(true)
})
