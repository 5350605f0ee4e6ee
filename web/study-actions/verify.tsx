/** @jsxImportSource hono/jsx */
import { bytesText, countOf, countText } from '../parts/quantity.tsx'
import { ActionForm, numberIn, type StudyActionView } from './view.tsx'

export const verify: StudyActionView = {
  name: 'verify',
  done(said) {
    const all = numberIn(said, 'instances')
    const damaged = numberIn(said, 'damaged')
    const unreadable = numberIn(said, 'unreadable')
    const read = `${countOf(all, 'instance')} (${bytesText(numberIn(said, 'bytes'))}) read again just now: `
    const faults = [
      damaged > 0 && `${countText(damaged)} not what came, see Integrity`,
      unreadable > 0 && `${countText(unreadable)} could not be read`,
    ].filter(Boolean)
    return read + (faults.length === 0 ? 'all as they came.' : `${faults.join('; ')}.`)
  },
  isOffered: () => true,
  view: (study) => (
    <ActionForm
      study={study}
      name="verify"
      label="Verify now"
      title={`Reads its ${bytesText(study.byteLength)} again and compares them with what came`}
    />
  ),
}
