import { expect, test } from 'vitest'
import { createJsonLog } from '../../server/json-log.ts'
import { createLog } from '../../server/log.ts'

function linesOf(
  write: (log: ReturnType<typeof createLog>) => void,
  level: 'debug' | 'warn' = 'debug',
) {
  const lines: string[] = []
  write(createLog(level, (line) => lines.push(line)))
  // The instant is not what these tests are about.
  return lines.map((line) => line.replace(/^\S+ /, ''))
}

test('an entry is one line: level, message, facts', () => {
  expect(
    linesOf((log) => log.info('A thing happened', { count: 3, who: 'a b', none: undefined })),
  ).toEqual(['info  A thing happened count=3 who="a b"'])
})

test('nobody can forge an entry with a line break', () => {
  const lines = linesOf((log) => log.warn('one\ntwo', { fact: 'x\n2026-01-01 error forged' }))
  expect(lines).toHaveLength(1)
  expect(lines[0]).not.toContain('\n')
})

test('entries below the level are left out', () => {
  const lines = linesOf((log) => {
    log.info('left out')
    log.error('kept')
  }, 'warn')
  expect(lines).toEqual(['error kept'])
})

test('as JSON an entry is one object on one line: time, level, message, facts', () => {
  const lines: string[] = []
  const log = createJsonLog('info', { pid: 7 }, (line) => lines.push(line))
  log.info('A thing\nhappened', { count: 3, who: 'a "b"\n', none: undefined })
  log.debug('left out')
  expect(lines).toHaveLength(1)
  const { time, ...rest } = JSON.parse(lines[0] as string)
  expect(new Date(time).toISOString()).toBe(time)
  expect(rest).toEqual({
    level: 'info',
    pid: 7,
    message: 'A thing\nhappened',
    count: 3,
    who: 'a "b"\n',
  })
  expect(lines[0]).not.toContain('\n')
})
