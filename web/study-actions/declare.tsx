/** @jsxImportSource hono/jsx */
import { countOf } from '../parts/quantity.tsx'
import { paths } from '../paths.ts'
import { AskForm, AskLink, BackLink, faultOf, numberIn, type StudyActionView } from './view.tsx'

export const declare: StudyActionView = {
  name: 'declare',
  done: (said) =>
    said.has('withdrawn')
      ? 'What was declared is taken back.'
      : `Declared: ${countOf(numberIn(said, 'expected'), 'instance')} in all.`,
  isOffered: () => true,
  view: (study) => <AskLink study={study} name="declare" label="Declare expected …" />,
  ask: {
    title: () => 'Declare what the study should hold',
    view(ask) {
      const { study, form, declared } = ask
      return (
        <>
          <p>
            {countOf(study.instanceCount, 'instance')} {study.instanceCount === 1 ? 'is' : 'are'}{' '}
            here.{' '}
            {declared !== undefined &&
              `Declared before: ${declared.instanceCount === null ? 'nothing' : countOf(declared.instanceCount, 'instance')}${declared.claimedBy === null ? '' : `, by ${declared.claimedBy}`}. It is replaced. `}
            The study is complete when exactly what is declared is here; nothing is deleted or
            refused because of it.
          </p>
          <AskForm ask={ask} name="declare">
            <div class="field">
              <label for="count">How many instances, in all</label>
              <input
                id="count"
                name="count"
                type="text"
                inputmode="numeric"
                autocomplete="off"
                value={form.get('count') ?? ''}
                {...faultOf(ask, 'count')}
              />
            </div>
            <div class="field">
              <label for="uids">or which ones: their SOP Instance UIDs</label>
              <textarea id="uids" name="uids" rows={6} class="uid" {...faultOf(ask, 'uids')}>
                {form.get('uids') ?? ''}
              </textarea>
              <small>One a line. Some 15,000 at most; the API takes more.</small>
            </div>
            <div class="actions">
              <button type="submit">Declare</button>
              <BackLink ask={ask} />
            </div>
          </AskForm>
          {declared !== undefined && (
            <form method="post" action={paths.askAction(study.studyInstanceUID, 'declare')}>
              <input type="hidden" name="withdraw" value="yes" />
              <button class="second" type="submit">
                Take back what was declared
              </button>
            </form>
          )}
        </>
      )
    },
  },
}
