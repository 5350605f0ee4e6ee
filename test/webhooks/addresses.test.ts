import { describe, expect, test } from 'vitest'
import {
  addressesOf,
  isPublicAddress,
  PrivateAddressError,
} from '../../server/webhooks/addresses.ts'

describe('addresses of receivers', () => {
  test.each([
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.1',
    '127.255.255.254',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:10.0.0.1',
    '::ffff:8.8.8.8',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '2001:db8::1',
    '2002:7f00:1::',
    'fc00::1',
    'fd12:3456::1',
    'fe80::1',
    'fec0::1',
    'ff02::1',
    'localhost',
    '',
  ])('%s is not public', (address) => {
    expect(isPublicAddress(address)).toBe(false)
  })

  test.each(['8.8.8.8', '172.32.0.1', '100.128.0.1', '192.169.0.1', '2606:4700::1111', '2a00::1'])(
    '%s is public',
    (address) => {
      expect(isPublicAddress(address)).toBe(true)
    },
  )

  test('a name is judged by what it stands for', async () => {
    await expect(addressesOf('localhost', false)).rejects.toThrow(PrivateAddressError)
    await expect(addressesOf('[::1]', false)).rejects.toThrow(PrivateAddressError)
    expect(await addressesOf('localhost', true)).toContain('127.0.0.1')
    expect(await addressesOf('[::1]', true)).toEqual(['::1'])
  })
})
