import { beforeAll, expect, test } from 'vitest'
import { startCodecs } from '../../server/pixels/codecs.ts'
import { doJob } from '../../server/pixels/do-job.ts'
import { imagePixel, rendering } from './image.ts'

beforeAll(async () => {
  await startCodecs(2 ** 30)
})

const base = '1.2.840.10008.1.2'

function picture(transferSyntaxUID: string): Uint8Array {
  const bytes = Uint8Array.from({ length: 200 }, (_, index) => (index * 37) % 251)
  const how = { rendering: rendering(), type: 'image/png' as const, quality: 90, delayMs: 0 }
  return doJob({ kind: 'render', image: imagePixel(), transferSyntaxUID, bytes, ...how }).bytes
}

test.each([
  ['JPEG XL', `${base}.4.110`],
  ['JPEG 2000 part 2', `${base}.4.92`],
  ['MPEG-4', `${base}.4.102`],
  ['a retired JPEG process', `${base}.4.55`],
])(
  'a code stream that no codec here decodes is not shown as if it were pixels: %s',
  (_, syntax) => {
    expect(() => picture(syntax)).toThrow('no decoder')
  },
)

test.each([
  ['Explicit VR Little Endian', `${base}.1`],
  ['encapsulated uncompressed', `${base}.1.98`],
])('pixels are shown as they are: %s', (_, syntax) => {
  expect(picture(syntax).length).toBeGreaterThan(50)
})
