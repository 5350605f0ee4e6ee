/** @jsxImportSource hono/jsx */
import type { StateCounts } from '../../db/study-list.ts'
import type { LiveRegion } from '../parts/live-message.tsx'
import { countText } from '../parts/quantity.tsx'
import { type Sign, studySigns } from '../parts/state-badge.tsx'
import { paths } from '../paths.ts'

/** What was asked for, as it was written. */
export interface SearchFields {
  /** Of each field that has one; the names are those of the form. */
  values: Record<string, string>
  /** Something that may be a patient's is searched for: it is in no address. */
  hasText: boolean
  /** The same search at Search of DICOMweb: the part behind `?`. */
  qido: string
  /** What is not said in that. */
  beyondQIDO: string[]
  /** The query of an address with these filters, changed so; never with text. */
  query(changes: Record<string, string>): string
}

/** Fields whose values go into a body, never into an address. */
export const textFields = [
  ['PatientName', 'Patient name', 'doe^j* or doe'],
  ['PatientID', 'Patient ID', ''],
  ['AccessionNumber', 'Accession', ''],
  ['StudyDescription', 'Description', ''],
  ['ReferringPhysicianName', 'Referred by', ''],
  ['StudyInstanceUID', 'Study Instance UID', ''],
] as const

interface StudySearchProps {
  fields: SearchFields
  counts: StateCounts
  studiesURL: string
  problem?: string | undefined
}

export function StudySearch({ fields, counts, studiesURL, problem }: StudySearchProps) {
  const { values } = fields
  const more = [
    'StudyDescription',
    'ReferringPhysicianName',
    'StudyInstanceUID',
    'verdict',
    'commitment',
    'receivedFrom',
    'receivedTo',
  ]
  return (
    <search>
      <form id="search" method="post" action={paths.studies}>
        <input type="hidden" name="state" value={values.state ?? ''} />
        <input type="hidden" name="sort" value={values.sort ?? ''} />
        <div class="fields">
          {textFields.slice(0, 3).map(([name, label, hint]) => (
            <TextField name={name} label={label} hint={hint} values={values} />
          ))}
          <Field name="ModalitiesInStudy" label="Modality" size={4} values={values} />
          <DateField name="from" label="Study date from" values={values} />
          <DateField name="to" label="to" values={values} />
          <button type="submit">Search</button>
          {Object.keys(values).length > 0 && <a href={paths.studies}>Clear</a>}
        </div>
        <details class="more" open={more.some((name) => values[name])}>
          <summary>More fields</summary>
          <div class="fields">
            {textFields.slice(3).map(([name, label, hint]) => (
              <TextField name={name} label={label} hint={hint} values={values} />
            ))}
            <Choice
              name="verdict"
              label="Completeness"
              values={values}
              options={['unknown', 'partial', 'complete', 'conflict']}
            />
            <Choice
              name="commitment"
              label="Commitment"
              values={values}
              options={['none', 'some', 'all']}
            />
            <DateField name="receivedFrom" label="Received from (UTC)" values={values} />
            <DateField name="receivedTo" label="until" values={values} />
          </div>
        </details>
        {problem && (
          <p id="search-problem" class="notice" data-tone="danger" role="alert">
            {problem}
          </p>
        )}
        <fieldset class="chips">
          <legend class="unseen">State</legend>
          <Chip value="" values={values} word="All" />
          {(['receiving', 'settling', 'reopened', 'stable'] as const).map((state) => (
            <Chip
              value={state}
              values={values}
              word={(studySigns[state] as Sign).word}
              count={state === 'stable' ? undefined : counts[state]}
            />
          ))}
          <Chip value="problems" values={values} word="With problems" count={counts.problems} />
        </fieldset>
      </form>
      {(fields.qido !== '' || fields.beyondQIDO.length > 0) && (
        <Equivalent fields={fields} studiesURL={studiesURL} />
      )}
    </search>
  )
}

interface FieldProps {
  name: string
  label: string
  size?: number
  values: Record<string, string>
}

function Field({ name, label, size = 14, values }: FieldProps) {
  return (
    <div class="field">
      <label for={name}>{label}</label>
      <input
        id={name}
        name={name}
        size={size}
        value={values[name] ?? ''}
        maxlength={200}
        autocomplete="off"
      />
    </div>
  )
}

function DateField({ name, label, values }: FieldProps) {
  return (
    <div class="field">
      <label for={name}>{label}</label>
      <input id={name} type="date" name={name} value={values[name] ?? ''} />
    </div>
  )
}

/** Not "search" but plain, and nothing of it is kept by the browser: it may be a name. */
function TextField({ name, label, hint, values }: FieldProps & { hint: string }) {
  return (
    <div class="field">
      <label for={name}>{label}</label>
      <input
        id={name}
        name={name}
        size={14}
        value={values[name] ?? ''}
        placeholder={hint}
        maxlength={200}
        autocomplete="off"
        spellcheck={false}
        data-patient
        {...(name === 'PatientName' ? { 'data-search': true } : {})}
      />
    </div>
  )
}

interface ChoiceProps extends FieldProps {
  options: string[]
}

function Choice({ name, label, values, options }: ChoiceProps) {
  return (
    <div class="field">
      <label for={name}>{label}</label>
      <select id={name} name={name}>
        <option value="">any</option>
        {options.map((option) => (
          <option value={option} selected={values[name] === option}>
            {option}
          </option>
        ))}
      </select>
    </div>
  )
}

interface ChipProps {
  value: string
  word: string
  values: Record<string, string>
  count?: number | undefined
}

function Chip({ value, word, values, count }: ChipProps) {
  const isOn = (values.state ?? '') === value
  return (
    <button
      class="chip"
      type="submit"
      name="state"
      value={value}
      aria-pressed={isOn ? 'true' : 'false'}
    >
      {word}
      {count !== undefined && (
        <span id={countID(value)} class="count">
          {chipCountText(count)}
        </span>
      )}
    </button>
  )
}

/** The counts on the chips, which change while studies come and settle. */
export function chipRegions(counts: StateCounts): LiveRegion[] {
  return (['receiving', 'settling', 'reopened', 'problems'] as const).map((state) => ({
    id: countID(state),
    content: chipCountText(counts[state]),
  }))
}

function countID(state: string): string {
  return `count-${state}`
}

function chipCountText(count: number): string {
  return count > 2000 ? '2,000+' : countText(count)
}

/** What a program would ask to get the same. */
function Equivalent({ fields, studiesURL }: { fields: SearchFields; studiesURL: string }) {
  return (
    <details class="more">
      <summary>The same as a QIDO-RS request</summary>
      <p>
        <code id="qido" class="uid" data-patient={fields.hasText || undefined}>
          {studiesURL}
          {fields.qido && `?${fields.qido}`}
        </code>{' '}
        <button class="quiet" type="button" data-copy="qido" hidden>
          Copy
        </button>
      </p>
      {fields.beyondQIDO.length > 0 && (
        <p class="muted">Not in it, for QIDO has no key for it: {fields.beyondQIDO.join(', ')}.</p>
      )}
    </details>
  )
}
