import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { UsageError } from '../../server/commands/command.ts'
import { parseSendArguments } from '../../server/commands/send.ts'
import { counted, formatBytes } from '../../server/send/format.ts'
import { Meter } from '../../server/send/meter.ts'
import { Progress, renderBar } from '../../server/send/progress.ts'
import { bytesText } from '../../web/parts/quantity.tsx'
import { answers, PlayServer } from './play-server.ts'
import { temporaryFolder } from './support.ts'

const to = ['--to', 'http://127.0.0.1:8104/dicom-web']

describe('the arguments of "stowage send"', () => {
  test('have defaults', () => {
    expect(parseSendArguments(['a', 'b', ...to])).toEqual({
      paths: ['a', 'b'],
      baseURL: 'http://127.0.0.1:8104/dicom-web',
      handling: 'strict',
      concurrency: 2,
      retries: 5,
      reportFile: undefined,
      headers: {},
    })
  })

  test('take the base with a slash, with "studies", and the root of a server', () => {
    for (const url of ['http://h/dicom-web', 'http://h/dicom-web/', 'http://h/dicom-web/studies']) {
      expect(parseSendArguments(['a', '--to', url]).baseURL).toBe('http://h/dicom-web')
    }
    expect(parseSendArguments(['a', '--to', 'http://h/']).baseURL).toBe('http://h')
  })

  test('take headers, several of one name too', () => {
    const args = [
      '--header',
      'Authorization: Basic a:b',
      '--header',
      'X-A: 1',
      '--header',
      'X-a: 2',
    ]
    expect(parseSendArguments(['a', ...to, ...args]).headers).toEqual({
      authorization: 'Basic a:b',
      'x-a': ['1', '2'],
    })
  })

  test.each([
    [[], /name the folders/],
    [['a'], /--to is missing/],
    [['a', '--to', 'ftp://h'], /no http or https URL/],
    [['a', '--to', 'http://u:p@h/'], /--header 'Authorization/],
    [['a', '--to', 'http://h/?x=1'], /query/],
    [['a', ...to, '--retries', '-1'], /--retries/],
    [['a', ...to, '--concurrency', '0'], /--concurrency takes a whole number, 1 to 64/],
    [['a', ...to, '--header', 'Secret'], /'Name: value'/],
    [['a', ...to, '--header', 'Content-Length: 5'], /content-length/],
    [['a', ...to, '--nonsense'], /--nonsense/],
  ])('refuse %j and say what to write', (args, why) => {
    const parse = () => parseSendArguments(args)
    expect(parse).toThrow(UsageError)
    expect(parse).toThrow(why)
  })

  test('never show the value of a header', () => {
    expect(() => parseSendArguments(['a', ...to, '--header', 'A: sec\nret'])).toThrow(
      /^(?!.*ret).*$/s,
    )
  })
})

describe('what is counted', () => {
  test('is written as the page writes it', () => {
    const sizes = [
      0, 1, 999, 1000, 61_234, 99_949, 99_951, 999_499, 999_500, 1e6, 1.5e9, 2e12, 3e15,
    ]
    expect(sizes.map(formatBytes)).toEqual(sizes.map(bytesText))
    expect(formatBytes(61_234_567)).toBe('61.2 MB')
    expect([1, 2].map((count) => counted(count, 'study'))).toEqual(['1 study', '2 studies'])
  })
})

describe('the progress', () => {
  test('has bytes, instances, rate and time left, and fits the terminal', () => {
    let now = 0
    const meter = new Meter({ bytes: 100 * 1024 ** 2, instances: 40 }, () => now)
    for (; now < 5000; now += 500) meter.add(1024 ** 2, 1)
    const bar = renderBar(meter.read(), 200)
    expect(bar).toContain('10%  10.5 MB of 105 MB  10 of 40 instances  2.10 MB/s  0:45 left')
    expect(renderBar(meter.read(), 40).length).toBeLessThan(40)
  })

  test('takes back what was sent in vain', () => {
    const meter = new Meter({ bytes: 100, instances: 2 }, Date.now)
    meter.add(70, 1)
    meter.takeBack(70, 1)
    expect(meter.read()).toMatchObject({ sentBytes: 0, sentInstances: 0 })
  })

  test('is plain lines where there is no terminal, and a bar that goes away where there is one', () => {
    const meter = new Meter({ bytes: 100, instances: 2 }, Date.now)
    for (const isTTY of [true, false]) {
      const written: string[] = []
      const progress = new Progress(
        { isTTY, columns: 80, write: (text) => written.push(text) },
        meter,
      )
      progress.say('one')
      progress.stop()
      expect(written.join('').includes('\x1b')).toBe(isTTY)
      expect(written.join('').includes('one\n')).toBe(true)
    }
  })
})

describe('the report of "stowage send"', () => {
  test('has a line for each file, with what became of it and why', async () => {
    await using folder = await temporaryFolder()
    await using out = await temporaryFolder()
    const a = await folder.putStudy('a', 2)
    const b = await folder.putStudy('b, "second"', 3)
    const c = await folder.putStudy('c', 1)
    await folder.put('d-cut.dcm', (a.files[0] as Buffer).subarray(0, 300))
    await using server = await PlayServer.start([
      answers(200, { stored: a.uids }),
      answers(409, { failed: [[b.uids[1] as string, 0x0111]], stored: [b.uids[0] as string] }),
      answers(401, {}),
    ])
    const report = join(out.path, 'report.csv')
    const options = ['--to', server.base, '--concurrency', '1', '--report', report]
    expect((await stowage(folder.path, ...options)).code).toBe(1)
    const lines = (await readFile(report, 'utf8')).split('\r\n')
    const at = (name: string) => join(folder.path, name)
    const quoted = (name: string) => `"${at(name).replaceAll('"', '""')}"`
    const [failed] = lines.filter((line) => line.startsWith(at('d-cut.dcm')))
    expect(failed).toMatch(/d-cut\.dcm,,,failed,,./)
    expect(lines.filter((line) => line !== failed)).toEqual([
      'file,studyInstanceUID,sopInstanceUID,outcome,failureReason,why',
      `${at('a-0.dcm')},${a.studyInstanceUID},${a.uids[0]},stored,,`,
      `${at('a-1.dcm')},${a.studyInstanceUID},${a.uids[1]},stored,,`,
      `${quoted('b, "second"-0.dcm')},${b.studyInstanceUID},${b.uids[0]},stored,,`,
      `${quoted('b, "second"-1.dcm')},${b.studyInstanceUID},${b.uids[1]},refused,0x0111,"stored already, or twice in the request, with other content"`,
      expect.stringMatching(/-2\.dcm",[\d.]+,[\d.]+,not acknowledged,,.*names not 1 of them/),
      expect.stringMatching(/c-0\.dcm,[\d.]+,[\d.]+,not acknowledged,,.*401/),
      '',
    ])
    expect(c.uids).toHaveLength(1)
  })

  test('that cannot be written is told before anything is sent', async () => {
    await using folder = await temporaryFolder()
    await folder.putStudy('a', 1)
    await using server = await PlayServer.start([])
    const { code, stderr } = await stowage(
      folder.path,
      '--to',
      server.base,
      '--report',
      '/no/such/folder/report.csv',
    )
    expect(code).toBe(2)
    expect(stderr).toContain('Cannot write the report to /no/such/folder/report.csv')
    expect(server.requests).toEqual([])
  })
})

describe('the exit code of "stowage send"', () => {
  test('is 0 when all is stored, 1 when something is not, 2 for wrong usage', async () => {
    await using folder = await temporaryFolder()
    const { uids } = await folder.putStudy('a', 2)
    await folder.put('notes.txt', 'x')
    await using server = await PlayServer.start([
      answers(200, { stored: uids }),
      answers(409, { failed: uids.map((uid) => [uid, 0xa700]) }),
    ])
    const good = await stowage(folder.path, '--to', server.base)
    expect(good.stdout).toMatch(/stored {4}1 of 1 study, 2 of 2 instances/)
    expect(good.stdout).toContain('skipped   1 file that is no DICOM instance\n')
    expect(good.code).toBe(0)
    const bad = await stowage(folder.path, '--to', server.base)
    expect(bad.stdout).toContain('0xA700')
    expect(bad.code).toBe(1)
    expect((await stowage(folder.path)).code).toBe(2)
    expect((await stowage('/no/such/folder', '--to', server.base)).code).toBe(2)
  })

  test('is 1 when all that could be sent is stored, but a file could not be sent', async () => {
    await using folder = await temporaryFolder()
    const { uids, files } = await folder.putStudy('a', 1)
    await folder.put('cut.dcm', (files[0] as Buffer).subarray(0, 300))
    await using server = await PlayServer.start([answers(200, { stored: uids })])
    const { code, stdout } = await stowage(folder.path, '--to', server.base)
    expect(code).toBe(1)
    expect(stdout).toContain('cut.dcm')
    expect(stdout).toContain('failed    1 file')
    expect(stdout).not.toContain('Doe')
  })

  test('is 1 when there was nothing to send', async () => {
    await using folder = await temporaryFolder()
    const { code, stdout } = await stowage(folder.path, ...to)
    expect([code, stdout.includes('there was nothing to send')]).toEqual([1, true])
  })

  test('is 130 after Ctrl-C, with what was stored and what was not', async () => {
    await using folder = await temporaryFolder()
    const first = await folder.putStudy('a', 1)
    await folder.putStudy('b', 1)
    let interrupt = () => {}
    await using server = await PlayServer.start([
      answers(200, { stored: first.uids }),
      () => interrupt(),
    ])
    const { code, stdout } = await stowage(
      ...[folder.path, '--to', server.base, '--concurrency', '1'],
      (kill) => {
        interrupt = () => void kill('SIGINT')
      },
    )
    expect(code).toBe(130)
    expect(stdout).toContain('stored    1 of 2 studies')
    expect(stdout).toMatch(/interrupted before/)
  })
})

type Kill = (signal: NodeJS.Signals) => void

async function stowage(...args: (string | ((kill: Kill) => void))[]) {
  const words = args.filter((arg) => typeof arg === 'string')
  const child = spawn(process.execPath, ['bin/stowage.mjs', 'send', ...words])
  for (const arg of args) if (typeof arg === 'function') arg((signal) => void child.kill(signal))
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk) => {
      said[name] += chunk
    })
  }
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, ...said }
}
