/** @jsxImportSource hono/jsx */
import { bytesText, countOf, countText } from '../parts/quantity.tsx'
import {
  type Ask,
  AskForm,
  AskLink,
  BackLink,
  faultOf,
  numberIn,
  type StudyActionView,
} from './view.tsx'

export const deleteStudy: StudyActionView = {
  name: 'delete',
  done: (said) => `${countOf(numberIn(said, 'instances'), 'instance')} deleted.`,
  isOffered: () => true,
  view: (study) => <AskLink study={study} name="delete" label="Delete …" />,
  ask: {
    title: ({ target }) => `Delete the ${target.level}`,
    view(ask) {
      return (
        <AskForm ask={ask} name="delete">
          {/* If it is another number by then, it is asked again. */}
          <input type="hidden" name="instances" value={ask.target.instanceCount} />
          <Loss ask={ask} />
          <div class="field">
            <label for="reason">Why</label>
            <input
              id="reason"
              name="reason"
              type="text"
              required
              maxlength={1000}
              autocomplete="off"
              value={ask.form.get('reason') ?? ''}
              {...faultOf(ask, 'reason')}
            />
            <small>Kept for good, and told to whoever sends it again. No names of patients.</small>
          </div>
          <Force ask={ask} />
          <fieldset>
            <label>
              <input
                type="checkbox"
                name="allowResend"
                value="yes"
                checked={ask.form.has('allowResend')}
              />
              It may be sent again at once; otherwise it is refused until it is allowed
            </label>
          </fieldset>
          <Confirm ask={ask} />
          <div class="actions">
            <button type="submit" data-tone="danger">
              Delete {countOf(ask.target.instanceCount, 'instance')} for good
            </button>
            <BackLink ask={ask} />
          </div>
        </AskForm>
      )
    },
  },
}

function Loss({ ask: { target } }: { ask: Ask }) {
  const { instanceCount, byteLength } = target
  return (
    <p>
      {countOf(instanceCount, 'instance')} ({bytesText(byteLength)}) will be gone, and nothing here
      brings {instanceCount === 1 ? 'it' : 'them'} back. What is on its way at this moment is not
      deleted.
    </p>
  )
}

function Force({ ask }: { ask: Ask }) {
  const { committedInstanceCount: committed } = ask.target
  if (committed === 0) return null
  return (
    <fieldset class="notice" data-tone="danger">
      <label>
        <input
          type="checkbox"
          name="force"
          value="yes"
          checked={ask.form.has('force')}
          {...faultOf(ask, 'force')}
        />
        {committed === 1
          ? 'Delete it although its storage was committed: its sender may have no copy'
          : `Delete them although the storage of ${countText(committed)} was committed: their sender may have no copy`}
      </label>
    </fieldset>
  )
}

function Confirm({ ask }: { ask: Ask }) {
  const { study, target } = ask
  const last = lastDigits(
    target.sopInstanceUID ?? target.seriesInstanceUID ?? study.studyInstanceUID,
  )
  const hasAccession = target.level === 'study' && study.accessionNumber !== null
  return (
    <div class="field">
      <label for="confirm">
        To be sure, type {hasAccession ? 'the Accession Number or ' : ''}the last digits of the UID:{' '}
        <span class="uid">{last}</span>
      </label>
      <input
        id="confirm"
        name="confirm"
        type="text"
        required
        autocomplete="off"
        value={ask.form.get('confirm') ?? ''}
        {...faultOf(ask, 'confirm')}
      />
    </div>
  )
}

/** The end of a UID that somebody types to say that he means this one. */
export function lastDigits(uid: string): string {
  return uid.slice(-6)
}
