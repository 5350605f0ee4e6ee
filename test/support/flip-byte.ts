import { open } from 'node:fs/promises'
import type { StowageServer } from './server.ts'

/** Damages the last byte of a stored instance; a second time mends it. */
export async function flipByte(of: StowageServer, sopInstanceUID: string): Promise<void> {
  await using sql = await of.connect()
  const [row] = await sql`
    select g.segment_id, i.segment_offset::float8 as at, i.byte_length::float8 as bytes
    from instances i
    join segments g using (segment_key)
    where i.sop_instance_uid = ${sopInstanceUID}`
  const id = row?.segment_id as string
  const file = await open(`${of.storeDir}/${id.slice(-2)}/${id}.segment`, 'r+')
  const position = row?.at + row?.bytes - 1
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, position)
  await file.write(Buffer.from([(buffer[0] as number) ^ 1]), 0, 1, position)
  await file.close()
}
