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
      if (writer.isBehind) await writer.drain()
      expect(writer.isBehind).toBe(false)
      const [entry] = await list(store)
      mostQueued = Math.max(mostQueued, writer.byteLength - (entry?.byteLength ?? 0))
    }
    expect(mostQueued).toBeLessThanOrEqual(4 * MiB + chunk.length)
    await writer.abandon()
  })

  test('holds back many writers more than one, so that together they queue little more', async () => {
    await using folder = await temporaryFolder()
    const store = fileStore(folder.path)
    const writers = await Promise.all(Array.from({ length: 32 }, () => store.create(randomUUID())))
    const chunk = randomBytes(256 * 1024)
    for (let chunks = 0; chunks < 16; chunks++) {
      for (const writer of writers) writer.append(chunk)
      await Promise.all(writers.map((writer) => (writer.isBehind ? writer.drain() : undefined)))
      const written = (await list(store)).reduce((sum, entry) => sum + entry.byteLength, 0)
      const queued = writers.reduce((sum, writer) => sum + writer.byteLength, 0) - written
      expect(queued).toBeLessThanOrEqual(16 * MiB)
    }
    for (const writer of writers) await writer.abandon()
  })

  test('makes its folders again when they were taken away', async () => {
    await using folder = await temporaryFolder()
    const root = join(folder.path, 'segments')
    const store = fileStore(root)
    const segmentID = await write(store, [Buffer.from('lost')])
    const inSameFolder = `${randomUUID().slice(0, -2)}${segmentID.slice(-2)}`
    for (const id of [inSameFolder, randomUUID()]) {
      await rm(root, { recursive: true })
      const writer = await store.create(id)
      writer.append(Buffer.from('x'))
      await writer.seal()
      expect((await read(store, id, 0, 1)).toString()).toBe('x')
    }
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

  test.skipIf(whyNot)('is told when not even a folder can be made', async () => {
    await using disk = await smallDisk('nr_inodes=2')
    for (const path of [join(disk.path, 'segments'), join(disk.path, 'not', 'there')]) {
      await expect(fileStore(path).create(randomUUID())).rejects.toMatchObject({ full: true })
    }
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
    'sync and seal return after data and every new folder entry were synced',
    async () => {
      await using folder = await temporaryFolder()
      const root = join(folder.path, 'new', 'segments')
      const calls = await traceSeal(root)
      const [toSync, toSeal, toSealAgain] = ['SYNCED', 'SEALED', 'SEALED AGAIN'].map((word) => {
        const at = calls.findIndex((line) => line.includes(`"${word}\\n"`))
        expect(at).toBeGreaterThan(0)
        return calls.splice(0, at + 1)
      }) as [string[], string[], string[]]
      for (const part of [toSync, toSeal, toSealAgain]) {
        const lastWrite = part.findLastIndex((line) => /p?writev?(64)?\(.*\.segment>/.test(line))
        const dataSync = part.findLastIndex((line) => /f(data)?sync\(\d+<.*\.segment>/.test(line))
        expect(lastWrite).toBeGreaterThan(-1)
        expect(dataSync).toBeGreaterThan(lastWrite)
      }
      const shard = /\/([0-9a-f]{2})\/[0-9a-f-]{36}\.segment/.exec(toSync.join('\n'))?.[1]
      const shardPath = join(root, shard as string)
      // Each folder in which an entry was made, from the one that was there before down to the segment's.
      for (const path of [folder.path, join(folder.path, 'new'), root, shardPath]) {
        expect(syncsOf(toSync, path)).toBe(1)
      }
      // The second segment's folder is known: only its own entry is new.
      expect(syncsOf(toSealAgain, shardPath)).toBe(1)
      expect(syncsOf(toSealAgain, root)).toBe(0)
      expect(toSealAgain.some((line) => line.includes('mkdir('))).toBe(false)
    },
  )

  test.skipIf(whyNot).each([
    { which: 'ahead', said: ['seal: Cannot sync a segment: EIO'] },
    {
      which: 'asked',
      said: ['sync: Cannot sync a segment: EIO', 'seal: Cannot sync a segment: EIO'],
    },
  ])('a sync that failed once is not forgotten when the next succeeds ($which)', async (given) => {
    await using folder = await temporaryFolder()
    const script = fileURLToPath(new URL('./sync-once-failed.ts', import.meta.url))
    const inject = ['-e', 'trace=fdatasync', '-e', 'inject=fdatasync:error=EIO:when=1']
    const program = [process.execPath, '--import', 'tsx', script, folder.path, given.which]
    // One thread for files: strace counts the calls of each thread for itself.
    const env = { ...process.env, UV_THREADPOOL_SIZE: '1' }
    const run = spawnSync('strace', ['-f', '-o', '/dev/null', ...inject, ...program], { env })
    expect(run.stdout.toString().trim().split('\n')).toEqual([
      ...given.said,
      'sync again: Cannot sync a segment: EIO',
    ])
  })
})

function syncsOf(calls: string[], path: string): number {
  return calls.filter((line) => line.includes('fsync(') && line.includes(`<${path}>`)).length
}

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), 'stowage-store-'))
  const remove = () => rm(path, { recursive: true, force: true })
  return { path, remove, [Symbol.asyncDispose]: remove }
}

async function smallDisk(option = 'size=4m') {
  const { path, remove } = await temporaryFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', option, 'tmpfs', path])
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
