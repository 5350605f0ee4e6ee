import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ConfigError, findUnknownSettings, readConfig } from '../../server/config.ts'
import { renderSettingsHelp, renderSettingsTable, SETTINGS } from '../../server/config-table.ts'

/** What somebody is told who starts the server with these settings. */
function problemsOf(env: Record<string, string>): string[] {
  try {
    readConfig(env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

describe('settings', () => {
  test('have defaults that need nothing to be set', () => {
    const config = readConfig({})
    expect(config).toMatchObject({
      host: '127.0.0.1',
      port: 8104,
      dataDir: resolve('data'),
      storeDir: resolve('data/segments'),
      databaseURL: undefined,
      quietMs: undefined,
      idleMs: 60_000,
      leaseMs: 30_000,
      segmentBytes: 2 ** 30,
      maxRequestBytes: 2 ** 40,
      maxTransfers: 1000,
      databaseConnections: 10,
      handling: 'strict',
      logLevel: 'info',
    })
  })

  test('are read in the units of people and kept in milliseconds and bytes', () => {
    const config = readConfig({
      STOWAGE_QUIET_SECONDS: '1.5',
      STOWAGE_SEGMENT_BYTES: '256 MiB',
      STOWAGE_MAX_PART_BYTES: '2GiB',
      STOWAGE_MAX_REQUEST_BYTES: '1048576',
    })
    expect(config.quietMs).toBe(1500)
    expect(config.segmentBytes).toBe(256 * 2 ** 20)
    expect(config.maxPartBytes).toBe(2 * 2 ** 30)
    expect(config.maxRequestBytes).toBe(2 ** 20)
  })

  test('that are empty count as not set', () => {
    expect(readConfig({ STOWAGE_PORT: '', DATABASE_URL: ' ' })).toMatchObject({
      port: 8104,
      databaseURL: undefined,
    })
  })

  test('put the segments in the data folder unless they have their own', () => {
    expect(readConfig({ STOWAGE_DATA_DIR: '/srv/a' }).storeDir).toBe(join('/srv/a', 'segments'))
    expect(readConfig({ STOWAGE_STORE_DIR: '/srv/b' }).storeDir).toBe('/srv/b')
  })

  test('that are wrong are all told at once, with what to write instead', () => {
    const problems = problemsOf({
      STOWAGE_PORT: '80o',
      STOWAGE_HANDLING: 'loose',
      STOWAGE_SEGMENT_BYTES: '1 GB',
      STOWAGE_IDLE_SECONDS: '-3',
      STOWAGE_BASE_URL: 'pacs.example.org',
      STOWAGE_TRUST_PROXY: '10.0.0.0/33',
    })
    expect(problems.sort()).toEqual([
      'STOWAGE_BASE_URL: write the URL that clients use, like https://pacs.example.org',
      'STOWAGE_HANDLING: write one of strict, lenient, not "loose"',
      'STOWAGE_IDLE_SECONDS: write a number of seconds from 1 to 31536000, not "-3"',
      'STOWAGE_PORT: write a whole number from 0 to 65535, not "80o"',
      'STOWAGE_SEGMENT_BYTES: write a number of bytes from 1048576 on, like 1073741824 or 1GiB, not "1 GB"',
      'STOWAGE_TRUST_PROXY: write 0, 1, or the addresses of your proxies like 10.0.0.7,192.168.0.0/16, not "10.0.0.0/33"',
    ])
  })

  test('that are wrong never show the password in them', () => {
    const problems = problemsOf({ DATABASE_URL: 'mysql://stowage:secret@db/stowage' })
    expect(problems).toHaveLength(1)
    expect(problems[0]).not.toContain('secret')
  })

  test('need a database before there is a way around its pooler', () => {
    expect(problemsOf({ DATABASE_DIRECT_URL: 'postgresql://db/stowage' })).toEqual([
      'DATABASE_DIRECT_URL: set DATABASE_URL too, or neither',
    ])
  })

  test('take several database hosts', () => {
    const databaseURL = 'postgresql://stowage@one:5432,two:5432/stowage'
    expect(readConfig({ DATABASE_URL: databaseURL }).databaseURL).toBe(databaseURL)
  })

  test('that do not exist are told with the nearest that does', () => {
    expect(
      findUnknownSettings({ STOWAGE_PROT: '1', STOWAGE_PORT: '1', STOWAGE_XYZZY: '1', PATH: '' }),
    ).toEqual(['STOWAGE_PROT is no setting; is STOWAGE_PORT meant?', 'STOWAGE_XYZZY is no setting'])
  })

  test('are all in the help and in the table of the README', () => {
    for (const { name, meaning } of Object.values(SETTINGS)) {
      expect(renderSettingsHelp()).toContain(`${name} `)
      expect(renderSettingsTable()).toContain(`| \`${name}\` |`)
      expect(renderSettingsTable()).toContain(meaning)
    }
  })
})

describe('the proxies that are trusted', () => {
  function trusts(text: string, address: string | undefined): boolean {
    return readConfig({ STOWAGE_TRUST_PROXY: text }).isTrustedProxy(address)
  }

  test('are none by default', () => {
    expect(readConfig({}).isTrustedProxy('127.0.0.1')).toBe(false)
  })

  test('are all, or those of a list of addresses and networks', () => {
    expect(trusts('1', '203.0.113.9')).toBe(true)
    expect(trusts('10.0.0.7, 192.168.0.0/16', '192.168.3.4')).toBe(true)
    expect(trusts('10.0.0.7, 192.168.0.0/16', '10.0.0.7')).toBe(true)
    expect(trusts('10.0.0.7, 192.168.0.0/16', '10.0.0.8')).toBe(false)
    expect(trusts('2001:db8::/32', '2001:db8::1')).toBe(true)
    expect(trusts('10.0.0.7', undefined)).toBe(false)
  })

  test('are known by their IPv4 address when the server listens on IPv6', () => {
    expect(trusts('10.0.0.7', '::ffff:10.0.0.7')).toBe(true)
    expect(trusts('10.0.0.7', '::ffff:10.0.0.8')).toBe(false)
  })
})
