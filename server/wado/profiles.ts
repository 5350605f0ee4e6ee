import type { Instance } from '../../db/instances.ts'
import type { DicomJson } from '../dicom/json-to-xml.ts'
import { HttpProblem } from '../http/problem.ts'
import { profileIn, sRGBProfile } from '../pixels/icc-profile.ts'
import { textOf } from '../pixels/image-pixel.ts'
import type { Store } from '../store/store.ts'
import type { ProfileChoice } from './rendered-parameters.ts'
import { itemOf } from './rendering-of.ts'
import { tableBytes } from './stored-file.ts'

/**
 * The ICC profile that goes into a picture of an instance, as its colours are not changed: that of the data set, of
 * its first optical path, or sRGB, which is what colours without a profile are taken for.
 *
 * @throws {HttpProblem} 406 sRGB is asked for, and the colours are others
 */
export async function profileFor(
  instance: Instance,
  store: Store,
  model: DicomJson,
  choice: ProfileChoice,
): Promise<Uint8Array | undefined> {
  if (choice === 'no' || isGrey(model)) return undefined
  // PS3.3 C.11.15; of whole slide images C.8.12.5.
  const owner = model['00282000'] ? model : itemOf(model, '00480105')
  const value = await tableBytes(instance, store, owner?.['00282000'])
  const own = value === undefined ? undefined : profileIn(value)
  if (choice !== 'srgb' || own === undefined || textOf(owner ?? {}, '00282002') === 'SRGB') {
    return own ?? (choice === 'own' ? undefined : sRGBProfile())
  }
  throw new HttpProblem(
    406,
    'Cannot render in sRGB: the image has an ICC profile of its own; there is iccprofile=yes, and no',
  )
}

function isGrey(model: DicomJson): boolean {
  return textOf(model, '00280004')?.startsWith('MONOCHROME') === true
}
