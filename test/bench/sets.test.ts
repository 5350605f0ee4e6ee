import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { InstanceReader } from '../../server/dicom/instance-reader.ts'
import { prepareRequests } from './requests.ts'
import { makeInstances, setNames, shapeOf } from './sets.ts'

const bytesOf = (pieces: Buffer[]) => Buffer.concat(pieces)

describe('the sets of the benchmark', () => {
  test.each(setNames)(
    '%s has instances that read as what they say, each with its own UID',
    (name) => {
      const shape = shapeOf(name, 'quick')
      const instances = makeInstances(name, shape, 3)
      const count = shape.studies * shape.seriesPerStudy * shape.instancesPerSeries
      expect(new Set(instances.map((instance) => instance.sopInstanceUID)).size).toBe(count)
      const last = instances.at(-1)
      if (last === undefined) throw new Error('There is no instance')
      const file = bytesOf(last.pieces)
      expect(file.length).toBe(last.byteLength)
      const reader = new InstanceReader()
      reader.push(file)
      const metadata = JSON.parse(Buffer.from(reader.end().metadata).toString())
      expect(metadata['00080018'].Value).toEqual([last.sopInstanceUID])
      expect(metadata['0020000E'].Value[0]).toBe(last.sopInstanceUID.replace(/\.\d+$/, ''))
      expect(metadata['00200013'].Value).toEqual([shape.instancesPerSeries])
      expect(Object.keys(metadata).length).toBeGreaterThanOrEqual(100)
      expect(Object.keys(metadata).length).toBeLessThanOrEqual(150)
    },
  )

  test('are the same each time, and others for another tag', () => {
    const digest = (tag: number) => {
      const hash = createHash('sha256')
      const instances = makeInstances('small', shapeOf('small', 'quick'), tag)
      for (const { pieces } of instances) hash.update(bytesOf(pieces))
      return hash.digest('hex')
    }
    expect(digest(1)).toBe(digest(1))
    expect(digest(1)).not.toBe(digest(2))
  })

  test('are cut into requests that hold each instance once', () => {
    const instances = makeInstances('many', shapeOf('many', 'quick'), 1)
    const requests = prepareRequests(instances, 30)
    expect(requests.flatMap((request) => request.sopInstanceUIDs)).toEqual(
      instances.map((instance) => instance.sopInstanceUID),
    )
    for (const request of requests) {
      expect(bytesOf(request.groups.flat()).length).toBe(request.byteLength)
    }
    expect(prepareRequests(instances, 'whole').length).toBe(1)
  })
})
