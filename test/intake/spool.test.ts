import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { MetadataError } from '../../server/dicom/errors.ts'
import { dicomFile } from '../support/dicom-file.ts'
import { nothingHeld, testIntake } from '../support/intake.ts'

const bytes = randomBytes(3_000_000)

describe('a spool (decision 14)', () => {
  test.each([
    { where: 'in memory', size: 1000, segments: 0 },
    { where: 'in a segment of its transfer', size: bytes.length, segments: 2 },
  ])('$where gives ranges back, and leaves nothing behind', async ({ size, segments }) => {
    for (const end of ['commit', 'abort', 'refuse'] as const) {
      await using t = await testIntake()
      const transfer = await t.intake.open({ service: 'stow', handling: 'strict' })
      const spool = transfer.openSpool()
      for (let at = 0; at < size; at += 50_000) {
        spool.append(bytes.subarray(at, Math.min(at + 50_000, size)))
        await spool.drain()
      }
      expect(spool.byteLength).toBe(size)
      await spool.seal()
      expect(await t.db.sql`select from segments`).toHaveLength(segments)
      for (const [offset, length] of [
        [0, size],
        [17, 900],
        [size - 1, 1],
        [5, 0],
      ] as const) {
        const read: Uint8Array[] = []
        for await (const chunk of spool.read(offset, length)) read.push(chunk)
        expect(Buffer.concat(read).equals(bytes.subarray(offset, offset + length))).toBe(true)
      }
      if (end === 'commit') {
        transfer.beginPart()
        transfer.push(dicomFile())
        transfer.endPart()
        expect(await transfer.commit()).toMatchObject({ state: 'committed' })
      } else await transfer[end]('over')
      const [row] = await t.db.sql`
        select coalesce(sum(byte_length + metadata_length), 0)::int as bytes from instances`
      await expect.poll(() => t.storedBytes()).toBe(row?.bytes)
      expect((await t.counts()).instances).toBe(end === 'commit' ? 1 : 0)
      expect(await t.db.sql`select from segments where state <> 'kept'`).toHaveLength(0)
    }
  })

  test.each([{ held: {} }, { held: nothingHeld }])(
    'a part that no file can be made of is refused, whatever was pushed of it',
    async ({ held }) => {
      await using t = await testIntake(held)
      for (const handling of ['lenient', 'strict'] as const) {
        const transfer = await t.intake.open({ service: 'stow', handling })
        const before = await t.storedBytes()
        const kept = dicomFile()
        transfer.beginPart()
        transfer.push(dicomFile({ pixelBytes: 200_000 }).subarray(0, 100_000))
        await transfer.drain()
        transfer.refusePart({ sopInstanceUID: '1.2.3' }, new MetadataError('no metadata'))
        transfer.beginPart()
        transfer.push(kept)
        transfer.endPart()
        const { stored, refused } = await transfer.commit()
        expect(refused[0]).toMatchObject({
          position: 0,
          failureReason: 0xc000,
          sopInstanceUID: '1.2.3',
        })
        expect(stored).toHaveLength(handling === 'lenient' ? 1 : 0)
        const added = (await t.storedBytes()) - before
        expect(added).toBeLessThan(kept.length + 10_000)
      }
      expect((await t.counts()).instances).toBe(1)
    },
  )
})
