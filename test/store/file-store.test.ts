import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { fileStore } from '../../server/store/file-store.ts'
import { StoreError } from '../../server/store/store.ts'
import { expectRefusal, list, read, testStore, write } from './store-contract.ts'

const MiB = 1024 * 1024

testStore('fileStore', async () => {
  const folder = await temporaryFolder()
  return { store: fileStore(join(folder.path, 'segments')), [Symbol.asyncDispose]: folder.remove }
})

describe('what a store of files promises besides', () => {
  test('holds back whoever drains, so that little more than 4 MiB are ever queued', async () => {
    await using folder = await temporaryFolder()
    const store = fileStore(folder.path)
    const writer = await store.create(randomUUID())
    const chunk = randomBytes(256 * 1024)
    let mostQueued = 0
    for (let appended = 0; appended < 64 * MiB; appended += chunk.length) {
      writer.append(chunk)
      await writer.drain()
      const [entry] = await list(store)
      mostQueued = Math.max(mostQueued, writer.byteLength - (entry?.byteLength ?? 0))
    }
    expect(mostQueued).toBeLessThanOrEqual(4 * MiB + chunk.length)
    await writer.abandon()
  })

  test('passes over files that are no segments', async () => {
    await using folder = await temporaryFolder()
    const store = fileStore(folder.path)
    const segmentID = await write(store, [Buffer.from('x')])
    await writeFile(join(folder.path, 'README'), 'not ours')
    await mkdir(join(folder.path, 'lost+found'))
    await writeFile(join(folder.path, segmentID.slice(-2), 'other.tmp'), 'not ours')
    expect((await list(store)).map((entry) => entry.segmentID)).toEqual([segmentID])
  })

  test('lets nobody but its user and group read a segment', async () => {
    await using folder = await temporaryFolder()
    const segmentID = await write(fileStore(folder.path), [Buffer.from('x')])
    const path = join(folder.path, segmentID.slice(-2), `${segmentID}.segment`)
    expect(execFileSync('stat', ['-c', '%a', path]).toString().trim()).toMatch(/^6[04]0$/)
  })

  test('gives back descriptors, also of readers that stop early', async () => {
    await using folder = await temporaryFolder()
    const store = fileStore(folder.path)
    const segmentID = await write(store, [randomBytes(3 * MiB)])
    const before = await openDescriptors(folder.path)
    for (let reads = 0; reads < 20; reads++) {
      for await (const _ of store.read(segmentID, 0, 3 * MiB)) break
      const writer = await store.create(randomUUID())
      writer.append(Buffer.from('x'))
      await (reads % 2 === 0 ? writer.seal() : writer.abandon())
    }
    expect(await openDescriptors(folder.path)).toBe(before)
  })
})

describe('a full disk (P1)', () => {
  const whyNot = whyNoTmpfs()

  test.skipIf(whyNot)('is told as full, and the writer refuses all that comes after', async () => {
    await using disk = await smallDisk()
    const store = fileStore(disk.path)
    const writer = await store.create(randomUUID())
    const error = await fill(writer).then(
      () => undefined,
      (reason) => reason,
    )
    expect(error).toBeInstanceOf(StoreError)
    expect(error.full).toBe(true)
    await expectRefusal(writer)
    await writer.abandon()
    await store.delete(writer.segmentID)
    const segmentID = await write(store, [randomBytes(2 * MiB)])
    expect((await read(store, segmentID, 0, 2 * MiB)).length).toBe(2 * MiB)
  })

  test.skipIf(whyNot)('is told by seal, when all was queued before', async () => {
    await using disk = await smallDisk()
    const writer = await fileStore(disk.path).create(randomUUID())
    for (let chunks = 0; chunks < 16; chunks++) writer.append(randomBytes(MiB))
    await expect(writer.seal()).rejects.toMatchObject({ full: true })
    await expectRefusal(writer)
    await writer.abandon()
  })

  async function fill(writer: { append(bytes: Uint8Array): void; drain(): Promise<void> }) {
    for (let chunks = 0; chunks < 64; chunks++) {
      writer.append(randomBytes(MiB / 4))
      await writer.drain()
    }
  }
})

describe('stable storage (P2)', () => {
  const whyNot = whyNoStrace()

  test.skipIf(whyNot)(
    'seal returns after data and every new folder entry were synced',
    async () => {
      await using folder = await temporaryFolder()
      const root = join(folder.path, 'new', 'segments')
      const calls = await traceSeal(root)
      const sealed = calls.findIndex((line) => line.includes('SEALED'))
      const synced = calls.slice(0, sealed)
      const shard = /\/([0-9a-f]{2})\/[0-9a-f-]{36}\.segment/.exec(synced.join('\n'))?.[1]
      expect(sealed).toBeGreaterThan(0)
      const lastWrite = synced.findLastIndex((line) => /p?writev?(64)?\(.*\.segment>/.test(line))
      const dataSync = synced.findLastIndex((line) => /f(data)?sync\(\d+<.*\.segment>/.test(line))
      expect(lastWrite).toBeGreaterThan(0)
      expect(dataSync).toBeGreaterThan(lastWrite)
      // Each folder in which an entry was made, from the one that was there before down to the segment's.
      for (const path of [
        folder.path,
        join(folder.path, 'new'),
        root,
        join(root, shard as string),
      ]) {
        expect(synced.some((line) => line.includes('fsync(') && line.includes(`<${path}>`))).toBe(
          true,
        )
      }
    },
  )
})

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), 'stowage-store-'))
  const remove = () => rm(path, { recursive: true, force: true })
  return { path, remove, [Symbol.asyncDispose]: remove }
}

async function smallDisk() {
  const { path, remove } = await temporaryFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', path])
  return {
    path,
    async [Symbol.asyncDispose]() {
      execFileSync('umount', [path])
      await remove()
    },
  }
}

async function openDescriptors(folder: string): Promise<number> {
  const links = await readdir('/proc/self/fd')
  const targets = await Promise.all(
    links.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  )
  return targets.filter((target) => target.startsWith(folder)).length
}

/** Writes one segment in a process of its own under strace; the system calls, in order. */
async function traceSeal(root: string): Promise<string[]> {
  const script = fileURLToPath(new URL('./seal-one.ts', import.meta.url))
  const trace = `${root.replace(/\/new\/segments$/, '')}.trace`
  const calls = 'trace=write,writev,pwrite64,pwritev,fsync,fdatasync,mkdir'
  const args = ['-f', '-y', '-s', '16', '-e', calls, '-o', trace]
  const run = spawnSync('strace', [...args, process.execPath, '--import', 'tsx', script, root])
  try {
    if (run.status !== 0) throw new Error(`strace failed: ${run.stderr}`)
    return resumed((await readFile(trace, 'utf8')).split('\n'))
  } finally {
    await rm(trace, { force: true })
  }
}

/** A call that others interrupt takes two lines; it counts where it ends. */
function resumed(lines: string[]): string[] {
  const begun = new Map<string, string>()
  return lines.map((line) => {
    const thread = line.split(' ')[0] as string
    if (line.includes('<unfinished ...>')) {
      begun.set(thread, line)
      return ''
    }
    return line.includes(' resumed>') ? `${begun.get(thread) ?? ''} ${line}` : line
  })
}

function whyNoTmpfs(): string | undefined {
  if (process.getuid?.() !== 0) return printed('skipped: only root can mount a small disk')
  const probe = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'])
  return probe.status === 0 ? undefined : printed('skipped: a small disk cannot be mounted here')
}

function whyNoStrace(): string | undefined {
  if (spawnSync('strace', ['-e', 'trace=none', 'true']).status === 0) return undefined
  return printed('skipped: no strace here')
}

function printed(reason: string): string {
  console.warn(reason)
  return reason
}
