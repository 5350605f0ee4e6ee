import { describe, expect, test } from 'vitest'
import { accepted, lockedPackages, shippedPackages } from './licences.ts'

describe('what is shipped (docs/operations.md)', () => {
  test('every package has a licence that is known, and none is copyleft', () => {
    const others = shippedPackages().filter(({ licence }) => !accepted.includes(licence ?? ''))
    expect(others).toEqual([])
    expect(shippedPackages().length).toBeGreaterThan(20)
  })

  test('every package of the lock file is known by the digest of its bytes', () => {
    const loose = lockedPackages().filter(({ integrity }) => !/^sha512-/.test(integrity ?? ''))
    expect(loose.map(({ name }) => name)).toEqual([])
  })
})
