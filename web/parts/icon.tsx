/** @jsxImportSource hono/jsx */
import { paths } from '../paths.ts'

/** The symbols of `assets/icons.svg`. */
export type IconName =
  | 'arriving'
  | 'tick'
  | 'cross'
  | 'broken'
  | 'clock'
  | 'hourglass'
  | 'again'
  | 'question'
  | 'part'
  | 'warning'
  | 'seal'
  | 'plus'

interface IconProps {
  name: IconName
}

/** Always beside a word that says the same. */
export function Icon({ name }: IconProps) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <use href={`${paths.asset('icons.svg')}#${name}`} />
    </svg>
  )
}
