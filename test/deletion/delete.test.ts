import { describe, expect, test } from 'vitest'
import { allowResend, deleteResource, findDeletion, lastDeletionOf } from '../../db/deletions.ts'
import { uniqueUID } from '../support/dicom-file.ts'
import { nothingHeld, testIntake } from '../support/intake.ts'
import { changesOf, deleted, filesOfStudy, madeStudy, wrongRows } from './support.ts'

describe('deleting (P8)', () => {
  test('a study takes its series and a patient without another study along, and says so once', async () => {
    await using t = await testIntake()
    const study = madeStudy(2, 3)
    await t.send(filesOfStudy(study))
    await t.db.sql`delete from changes_to_come`
    const deletion = await deleted(t.db, study, { reason: 'Wrong patient', sender: '10.0.0.1' })
    expect(deletion).toMatchObject({
      level: 'study',
      studyInstanceUID: study.studyInstanceUID,
      reason: 'Wrong patient',
      sender: '10.0.0.1',
      seriesCount: 2,
      instanceCount: 6,
      allowsResend: false,
    })
    expect(await t.counts()).toEqual({ studies: 0, series: 0, instances: 0, patients: 0 })
    const changes = await t.db.sql`
      select level, patient_id, details from changes_to_come where type = 'deleted' order by change_key`
    expect(changes.map(({ level }) => level)).toEqual(['study', 'patient'])
    expect(changes[0]).toMatchObject({
      patient_id: 'P',
      details: { deletion: 1, reason: 'Wrong patient', seriesCount: 2, instanceCount: 6 },
    })
    expect(await findDeletion(t.db, 1)).toMatchObject({ refusedInstanceCount: 6 })
    expect(await wrongRows(t.db)).toEqual([])
  })

  test('an instance leaves the rest with right counts, and opens the next generation', async () => {
    await using t = await testIntake()
    const [study, other] = [madeStudy(2, 2), madeStudy(1, 1)]
    await t.send(filesOfStudy(study))
    await t.send(filesOfStudy(other))
    await t.db.sql`update studies set due_at = null`
    await t.db.sql`update series set due_at = null`
    await t.db.sql`update patients set due_at = null`
    await t.db.sql`delete from changes_to_come`
    const [first] = study.instances
    await deleted(t.db, { ...study, ...first })
    expect(await t.counts()).toEqual({ studies: 2, series: 3, instances: 4, patients: 1 })
    expect(await wrongRows(t.db)).toEqual([])
    expect(await changesOf(t.db)).toEqual([
      'deleted instance',
      'reopened series',
      'reopened study',
      'reopened patient',
    ])
    const [row] = await t.db.sql`
      select generation, due_at > now() as is_due, reopened_at is not null as is_reopened
      from studies where study_instance_uid = ${study.studyInstanceUID}`
    expect(row).toEqual({ generation: 2, is_due: true, is_reopened: true })
  })

  test('the last instance of a series takes the series along, and Modalities in Study follow', async () => {
    await using t = await testIntake()
    const study = madeStudy(2, 1)
    await t.send(filesOfStudy(study))
    await t.db.sql`delete from changes_to_come`
    const [, report] = study.instances
    await deleted(t.db, { ...study, ...report })
    expect(await t.counts()).toEqual({ studies: 1, series: 1, instances: 1, patients: 1 })
    expect(await changesOf(t.db)).toEqual(['deleted instance', 'deleted series'])
    const [row] = await t.db.sql`select modalities_in_study from studies`
    expect(row?.modalities_in_study).toEqual(['CT'])
    expect(await wrongRows(t.db)).toEqual([])
  })

  test('what is not there, or not under that study, is told from what was deleted', async () => {
    await using t = await testIntake()
    const study = madeStudy()
    await t.send(filesOfStudy(study))
    const elsewhere = { ...study.instances[0], studyInstanceUID: uniqueUID() }
    expect(await deleteResource(t.db, elsewhere, {})).toEqual({ outcome: 'not-found' })
    expect(await lastDeletionOf(t.db, study)).toBeUndefined()
    await deleted(t.db, study)
    expect(await deleteResource(t.db, study, {})).toEqual({ outcome: 'not-found' })
    expect(await lastDeletionOf(t.db, { ...study, ...study.instances[1] })).toMatchObject({
      deletionKey: 1,
    })
  })

  test('what is committed is deleted by force and with a reason only (P6)', async () => {
    await using t = await testIntake()
    const study = madeStudy(1, 3)
    await t.send(filesOfStudy(study))
    const [first] = study.instances
    await t.db.sql`
      update instances set committed_at = now() where sop_instance_uid = ${first?.sopInstanceUID as string}`
    await t.db.sql`update series set committed_instance_count = 1`
    await t.db.sql`update studies set committed_instance_count = 1`
    const refused = { outcome: 'committed', committedInstanceCount: 1 }
    expect(await deleteResource(t.db, study, { reason: 'No force' })).toEqual(refused)
    expect(await deleteResource(t.db, study, { force: true })).toEqual(refused)
    expect((await t.counts()).instances).toBe(3)
    await deleted(t.db, { ...study, ...first }, { force: true, reason: 'Must go' })
    expect(await wrongRows(t.db)).toEqual([])
    await deleted(t.db, study)
    expect(await t.counts()).toEqual({ studies: 0, series: 0, instances: 0, patients: 0 })
  })
})

describe.each([
  ['on its own', nothingHeld],
  ['in a group', {}],
])('what was deleted and comes again %s', (_, limits) => {
  test('is refused with C410, when and why, until it is allowed', async () => {
    await using t = await testIntake(limits)
    const study = madeStudy(1, 2)
    await t.send(filesOfStudy(study))
    await deleted(t.db, { ...study, ...study.instances[0] }, { reason: 'Not his' })
    const again = await t.send(filesOfStudy(study))
    expect(again.state).toBe('refused')
    expect(again.refused.map((one) => one.failureReason)).toEqual([0xc410, 0xc0ff])
    const [row] = await t.db.sql`select failure_reason, detail from refusals`
    expect(row?.failure_reason).toBe(0xc410)
    expect(row?.detail).toMatch(/^It was deleted on \d{4}-\d\d-\d\dT.*Z: Not his$/)
    expect((await t.counts()).instances).toBe(1)
    // Lenient takes the others.
    const lenient = await t.send([...filesOfStudy(study), ...filesOfStudy(madeStudy(1, 1))], {
      handling: 'lenient',
    })
    expect(lenient.refused.map((one) => one.failureReason)).toEqual([0xc410])
    expect(lenient.stored).toHaveLength(2)
    expect(await allowResend(t.db, study)).toEqual({ found: 1, lifted: 1 })
    expect((await t.send(filesOfStudy(study))).state).toBe('committed')
    expect((await t.counts()).instances).toBe(3)
    expect(await wrongRows(t.db)).toEqual([])
    // Deleted once more, it is refused once more.
    await deleted(t.db, study)
    expect((await t.send(filesOfStudy(study))).state).toBe('refused')
  })

  test('is taken at once where it was deleted to be sent again', async () => {
    await using t = await testIntake(limits)
    const study = madeStudy(1, 2)
    await t.send(filesOfStudy(study))
    await deleted(t.db, study, { allowResend: true })
    expect((await t.send(filesOfStudy(study))).state).toBe('committed')
    expect((await t.counts()).instances).toBe(2)
  })
})
