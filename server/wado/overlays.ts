import type { Instance } from '../../db/instances.ts'
import type { DicomJson } from '../dicom/json-to-xml.ts'
import { numberOf, textOf } from '../pixels/image-pixel.ts'
import type { Overlay } from '../pixels/rendering.ts'
import type { Store } from '../store/store.ts'
import { tableBytes } from './stored-file.ts'

/** Groups of Overlay Planes: 6000 to 601E, the even ones (PS3.5 7.6). */
const groups = Array.from({ length: 16 }, (_, i) => (0x6000 + i * 2).toString(16).toUpperCase())

/**
 * The graphics of the Overlay Planes that belong to a frame (PS3.3 C.9.2). Regions of interest (Type R) are none, and
 * those of old, in unused bits of the pixels, are not looked for.
 *
 * @param index The frame, from 0.
 */
export async function overlaysOf(
  instance: Instance,
  store: Store,
  model: DicomJson,
  index: number,
): Promise<Overlay[]> {
  const overlays: Overlay[] = []
  for (const group of groups) {
    const data = model[`${group}3000`]
    const [rows, columns] = [numberOf(model, `${group}0010`, 0), numberOf(model, `${group}0011`, 0)]
    if (data === undefined || rows < 1 || columns < 1) continue
    if (textOf(model, `${group}0040`) !== 'G') continue
    // Without a number of frames of its own a plane is for all frames of the image.
    const count = numberOf(model, `${group}0015`, 0)
    const frame = count < 1 ? 0 : index - (numberOf(model, `${group}0051`, 1) - 1)
    if (count >= 1 && (frame < 0 || frame >= count)) continue
    const bits = await tableBytes(instance, store, data)
    if (bits === undefined) continue
    const [top = 1, left = 1] = model[`${group}0050`]?.Value?.map(Number) ?? []
    const firstBit = frame * rows * columns
    overlays.push({ top: top - 1, left: left - 1, rows, columns, firstBit, bits })
  }
  return overlays
}
