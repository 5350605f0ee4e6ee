import type { Instance } from '../../db/instances.ts'
import type { DicomJson, DicomJsonAttribute } from '../dicom/json-to-xml.ts'
import { type ImagePixel, numberOf, textOf } from '../pixels/image-pixel.ts'
import type { LookupTable, Rendering, Window, WindowFunction } from '../pixels/rendering.ts'
import { unpackPalette } from '../pixels/segmented-palette.ts'
import type { Store } from '../store/store.ts'
import { tableBytes } from './stored-file.ts'

/**
 * What the data set says of how a frame is to be shown: Modality LUT, VOI LUT, palette; of its own group
 * of a multi-frame functional group, of the shared one, else of the root (PS3.3 C.7.6.16, C.11).
 *
 * @param index The frame, from 0.
 */
export async function renderingOf(
  instance: Instance,
  store: Store,
  model: DicomJson,
  image: ImagePixel,
  index: number,
): Promise<Rendering> {
  const transformation = groupOf(model, '00289145', index)
  const voi = groupOf(model, '00289132', index)
  const signed = image.pixelRepresentation === 1
  const tableOf = (owner: DicomJson | undefined, descriptor: string, data: string) =>
    lookupTable(instance, store, owner, descriptor, data, signed)
  const paletteOf = async (colour: string) =>
    (await tableOf(model, `0028110${colour}`, `0028120${colour}`)) ??
    (await segmentedTable(instance, store, model, `0028110${colour}`, `0028122${colour}`))
  const isPalette = image.photometricInterpretation === 'PALETTE COLOR'
  const colours = isPalette ? await Promise.all(['1', '2', '3'].map(paletteOf)) : []
  const window = windowOf(voi)
  const inverse = textOf(model, '20500020') === 'INVERSE'
  const slope = numberOf(transformation, '00281053', 1)
  return {
    // A slope of 0 is a mistake that would leave nothing to see.
    slope: slope === 0 ? 1 : slope,
    intercept: numberOf(transformation, '00281052', 0),
    modalityLUT: await tableOf(itemOf(transformation, '00283000'), '00283002', '00283006'),
    window,
    voiLUT: window ? undefined : await tableOf(itemOf(voi, '00283010'), '00283002', '00283006'),
    isInverse: (image.photometricInterpretation === 'MONOCHROME1') !== inverse,
    padding: paddingOf(model, signed),
    palette:
      colours.every((table) => table !== undefined) && isPalette
        ? (colours as [LookupTable, LookupTable, LookupTable])
        : undefined,
    pixelAspect: pixelAspectOf(model, index),
  }
}

/** Pixel Padding Value, and Pixel Padding Range Limit where there is one, in either order (PS3.3 C.7.5.1.1.2). */
function paddingOf(model: DicomJson, signed: boolean): Rendering['padding'] {
  const [value, limit] = ['00280120', '00280121'].map((tag) => {
    const number = numberOf(model, tag, Number.NaN)
    // US where SS is meant, when the pixels are signed.
    return signed && number > 32_767 ? number - 65_536 : number
  }) as [number, number]
  if (Number.isNaN(value)) return undefined
  const other = Number.isNaN(limit) ? value : limit
  return [Math.min(value, other), Math.max(value, other)]
}

/** Of the spacing of the pixels, else of Pixel Aspect Ratio (PS3.3 C.7.6.3.1.7): both say the height first. */
function pixelAspectOf(model: DicomJson, index: number): number {
  const sizes = [
    groupOf(model, '00289110', index)['00280030'],
    ...['00280030', '00181164', '00182010', '00280034'].map((tag) => model[tag]),
  ].map((attribute) => (attribute?.Value ?? []).map(Number))
  const [height, width] = sizes.find(([height = 0, width = 0]) => height > 0 && width > 0) ?? []
  const aspect = (height ?? 1) / (width ?? 1)
  // What differs less is not seen, and what differs more is a mistake.
  return Math.abs(aspect - 1) < 0.01 || aspect < 0.1 || aspect > 10 ? 1 : aspect
}

/** How long each frame of several is shown, in milliseconds (PS3.3 C.7.6.5). */
export function frameDelayMs(model: DicomJson): number {
  const frameTime = numberOf(model, '00181063', 0)
  const rate = numberOf(model, '00082144', 0) || numberOf(model, '00180040', 0)
  const ms = frameTime > 0 ? frameTime : rate > 0 ? 1000 / rate : 100
  return Math.min(10_000, Math.max(20, ms))
}

function windowOf(voi: DicomJson): Window | undefined {
  const [center, width] = [
    numberOf(voi, '00281050', Number.NaN),
    numberOf(voi, '00281051', Number.NaN),
  ]
  const named = textOf(voi, '00281056')
  const shape: WindowFunction = named === 'SIGMOID' || named === 'LINEAR_EXACT' ? named : 'LINEAR'
  // PS3.3 C.11.2.1.2: LINEAR begins at 1, the others above 0. Files have 0 where they mean nothing.
  const isWide = shape === 'LINEAR' ? width >= 1 : width > 0
  return Number.isFinite(center) && isWide ? { center, width, function: shape } : undefined
}

function groupOf(model: DicomJson, sequence: string, index: number): DicomJson {
  const own = itemOf(itemOf(model, '52009230', index), sequence)
  return own ?? itemOf(itemOf(model, '52009229'), sequence) ?? model
}

export function itemOf(
  owner: DicomJson | undefined,
  sequence: string,
  index = 0,
): DicomJson | undefined {
  return (owner?.[sequence]?.Value?.[index] ?? undefined) as DicomJson | undefined
}

/** PS3.3 C.11.1.1.1, C.7.6.3.1.5: number of entries (0 is 65,536), first value mapped, bits of an entry. */
async function lookupTable(
  instance: Instance,
  store: Store,
  owner: DicomJson | undefined,
  descriptorTag: string,
  dataTag: string,
  signed: boolean,
): Promise<LookupTable | undefined> {
  const descriptor = owner?.[descriptorTag]?.Value?.map(Number)
  const data = owner?.[dataTag]
  if (descriptor === undefined || descriptor.length < 3 || data === undefined) return undefined
  const [entries, first, bits] = descriptor as [number, number, number]
  const count = entries === 0 ? 65_536 : entries
  const values = await entriesOf(instance, store, data, count)
  if (values === undefined || values.length === 0) return undefined
  // US where SS is meant, when the pixels are signed.
  return { first: signed && first > 32_767 ? first - 65_536 : first, bits, values }
}

/** A palette in segments of 16 bits; those of 8 bits are not known to exist. */
async function segmentedTable(
  instance: Instance,
  store: Store,
  model: DicomJson,
  descriptorTag: string,
  dataTag: string,
): Promise<LookupTable | undefined> {
  const [entries, first, bits] = model[descriptorTag]?.Value?.map(Number) ?? []
  const bytes = await tableBytes(instance, store, model[dataTag])
  if (entries === undefined || first === undefined || bits !== 16 || !bytes) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const words = Uint16Array.from({ length: bytes.length >> 1 }, (_, i) =>
    view.getUint16(i * 2, true),
  )
  return { first, bits, values: unpackPalette(words, entries === 0 ? 65_536 : entries) }
}

async function entriesOf(
  instance: Instance,
  store: Store,
  data: DicomJsonAttribute,
  count: number,
): Promise<Uint16Array | undefined> {
  if (data.Value !== undefined) return Uint16Array.from(data.Value as number[])
  const bytes = await tableBytes(instance, store, data)
  if (bytes === undefined) return undefined
  // Entries of 8 bits may be packed, two in a word.
  if (bytes.length < count * 2) return Uint16Array.from(bytes.subarray(0, count))
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Uint16Array.from({ length: count }, (_, i) => view.getUint16(i * 2, true))
}
