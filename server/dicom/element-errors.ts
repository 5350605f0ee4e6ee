import { tagName } from './bytes.ts'
import { LengthError } from './errors.ts'

/** How messages say where an element is. */
export function where(tag: number, offset: number): string {
  return `element ${tagName(tag)} at offset ${offset}`
}

export function overrun(tag: number, offset: number, length: number): LengthError {
  return new LengthError(`${where(tag, offset)} claims ${length} bytes, more than there may be`)
}

export function undefinedLength(tag: number, offset: number): LengthError {
  return new LengthError(
    `${where(tag, offset)} has an undefined length, which its VR does not allow`,
  )
}
