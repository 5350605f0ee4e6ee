import { openVRs } from './dictionary.ts'
import type { Level } from './level.ts'
import { vrCode } from './vr.ts'

export const OB = vrCode('OB')
export const OW = vrCode('OW')
export const UN = vrCode('UN')
/** US or SS. */
export const XS = openVRs.xs
const SS = vrCode('SS')
const US = vrCode('US')

/**
 * Decides the VR of an element whose bytes do not say it (JS-23).
 *
 * OB or OW is OW, as Implicit VR demands (PS3.5 A.1); so is US or OW. US or SS follows the Pixel Representation of this
 * data set or the nearest around it, and is US while none was read; metadata are set right when one comes
 * (open-members.ts). A tag that PS3.6 does not know is UN.
 *
 * @param vr What the dictionary says: a VR, an open VR, or 0.
 */
export function definiteVR(vr: number, level: Level): number {
  if (vr === 0) return UN
  // The open VRs are written in lower case; no other VR is.
  if (vr < openVRs.lt) return vr
  return vr === XS ? (level.pixelRepresentation === 1 ? SS : US) : OW
}
