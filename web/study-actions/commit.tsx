/** @jsxImportSource hono/jsx */
import { bytesText, countOf, countText } from '../parts/quantity.tsx'
import { AskForm, AskLink, BackLink, numberIn, type StudyActionView } from './view.tsx'

export const commit: StudyActionView = {
  name: 'commit',
  done(said) {
    const waiting = numberIn(said, 'waiting')
    const committed = numberIn(said, 'committed')
    const failed = numberIn(said, 'failed')
    if (waiting > 0) {
      return `Requested: ${countOf(waiting, 'instance')} to be read again. The result will stand under Commitments.`
    }
    return failed === 0
      ? `${countOf(committed, 'instance')} committed.`
      : `${countText(failed)} of ${countOf(committed + failed, 'instance')} failed; why stands under Commitments.`
  },
  isOffered: () => true,
  view: (study) => <AskLink study={study} name="commit" label="Request commitment …" />,
  ask: {
    title: () => 'Request storage commitment',
    view(ask) {
      const { instanceCount, byteLength, committedInstanceCount } = ask.target
      return (
        <AskForm ask={ask} name="commit">
          <p>
            {countOf(instanceCount, 'instance')}, {bytesText(byteLength)}, will be read again and
            compared with what came.{' '}
            {committedInstanceCount > 0 &&
              `${countText(committedInstanceCount)} ${committedInstanceCount === 1 ? 'is' : 'are'} committed already. `}
            What is committed cannot be deleted any more without a reason and an explicit word that
            it was committed.
          </p>
          <p class="muted">
            Whoever sent the study is not told: a sender that wants to delete its own copy asks for
            itself.
          </p>
          <div class="actions">
            <button type="submit">
              Request commitment of {countOf(instanceCount, 'instance')}
            </button>
            <BackLink ask={ask} />
          </div>
        </AskForm>
      )
    },
  },
}
