/** @jsxImportSource hono/jsx */
import { ActionForm, type StudyActionView } from './view.tsx'

const verdicts: Record<string, string> = {
  unknown: 'Whether the study is complete is not known.',
  partial: 'By all that is said the study is not complete.',
  complete: 'By all that is said the study is complete.',
  conflict: 'What is said does not agree.',
}

export const askSource: StudyActionView = {
  name: 'ask-source',
  done: (said) =>
    `The source was asked; what it said stands under Evidence. ${verdicts[said.get('verdict') ?? ''] ?? ''}`,
  isOffered: (_study, { isPeerConfigured }) => isPeerConfigured,
  view: (study) => (
    <ActionForm
      study={study}
      name="ask-source"
      label="Ask the source"
      title="Asks the server that is configured as the source which instances it has of this study"
    />
  ),
}
