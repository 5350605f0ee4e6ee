/** @jsxImportSource hono/jsx */
import { ActionForm, type StudyActionView } from './view.tsx'

export const settle: StudyActionView = {
  name: 'settle',
  done: () => 'It settles now, unless something of it is on its way.',
  isOffered: ({ state }) => state !== 'stable',
  view: (study) => (
    <ActionForm
      study={study}
      name="settle"
      label="Settle now"
      title="Makes it stable without waiting for the end of its quiet time"
    />
  ),
}
