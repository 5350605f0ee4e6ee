/** @jsxImportSource hono/jsx */
import { ActionForm, type StudyActionView } from './view.tsx'

export const reopen: StudyActionView = {
  name: 'reopen',
  done: () => 'It is open again: its quiet time begins anew, and another stable event will follow.',
  isOffered: ({ state }) => state === 'stable',
  view: (study) => (
    <ActionForm
      study={study}
      name="reopen"
      label="Reopen"
      title="Begins its quiet time anew; consumers hear of another stable event"
    />
  ),
}
