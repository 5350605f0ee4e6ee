import { statfs } from 'node:fs/promises'

export interface DiskSpace {
  totalBytes: number
  freeBytes: number
}

/** How much room the disk of a folder has, for this user. Undefined: it cannot be told. */
export async function freeSpace(folder: string): Promise<DiskSpace | undefined> {
  try {
    const { bsize, blocks, bavail } = await statfs(folder)
    return { totalBytes: bsize * blocks, freeBytes: bsize * bavail }
  } catch {
    return undefined
  }
}
