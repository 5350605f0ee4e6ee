/** @jsxImportSource hono/jsx */
import type { Handling } from '../../db/transfers.ts'
import { Layout, type Shell } from '../layout.tsx'
import { type May, mayAll } from '../may.ts'
import { type Finding, FindingTable } from '../parts/finding-table.tsx'
import { MayLink } from '../parts/may-link.tsx'
import { countOf, countText } from '../parts/quantity.tsx'
import { reasonNames } from '../parts/reason.tsx'
import { TransferBadge } from '../parts/state-badge.tsx'
import { paths } from '../paths.ts'

interface UploadPageProps {
  shell?: Shell | undefined
  /** Which is chosen until somebody chooses. */
  handling: Handling
  /** What was wrong with the form that was sent. */
  problem?: string | undefined
}

/** A plain form, which needs no JavaScript; with it, `upload.js` sends the files by STOW-RS and tells how far it is. */
export function UploadPage({ shell, handling, problem }: UploadPageProps) {
  return (
    <Layout title="Upload" current="upload" shell={shell} scripts={['upload.js']}>
      <h1>Upload</h1>
      <p>
        DICOM files, or folders of them. They are stored as if a sender had sent them by STOW-RS.
      </p>
      <p id="drop" class="drop" hidden>
        <span>Drop files or folders anywhere on this page, or choose them below.</span>
        <small>
          They are sent a hundred at a time, and strict or lenient holds for each hundred.
        </small>
      </p>
      <UploadForm handling={handling} problem={problem} may={shell?.may} />
      <section id="progress" class="island" aria-labelledby="words" hidden>
        <div class="two-truths">
          <progress id="sent" class="sent" max={1} value={0} aria-label="Bytes sent" />
          <progress id="stored" class="stored" max={1} value={0} aria-label="Instances stored" />
        </div>
        <p id="words" role="status" />
        <h2 id="stored-title" hidden>
          Studies
        </h2>
        <ul id="stored-studies" />
        <h2>Batches</h2>
        <ul id="batches" />
      </section>
    </Layout>
  )
}

/** The handling stands before the files, for it must be known when the first of them arrives. */
export function UploadForm({
  handling,
  problem,
  may = mayAll,
}: Omit<UploadPageProps, 'shell'> & { may?: May | undefined }) {
  return (
    <form
      class="upload"
      method="post"
      action={paths.upload}
      enctype="multipart/form-data"
      data-studies={paths.stow}
      data-transfers={paths.transferFacts('')}
      data-transfer-pages={may('GET /transfers/:transfer') ? paths.transfer('') : undefined}
      data-study-pages={may('GET /studies/:study') ? paths.study('') : undefined}
      data-reasons={JSON.stringify(reasonNames)}
    >
      {problem && (
        <p id="problem" class="notice" data-tone="danger" role="alert">
          {problem}
        </p>
      )}
      <fieldset>
        <legend>If an instance is refused</legend>
        <label>
          <input type="radio" name="handling" value="strict" checked={handling === 'strict'} />
          store nothing of this upload (strict)
        </label>
        <label>
          <input type="radio" name="handling" value="lenient" checked={handling === 'lenient'} />
          store the others (lenient)
        </label>
      </fieldset>
      <div class="field">
        <label for="files">Files</label>
        <input
          id="files"
          type="file"
          name="files"
          multiple
          {...(problem
            ? { 'aria-invalid': 'true' as const, 'aria-describedby': 'problem', autofocus: true }
            : {})}
        />
      </div>
      <div class="field">
        <label for="folder">Folder</label>
        <input id="folder" type="file" name="folder" multiple {...{ webkitdirectory: true }} />
      </div>
      <p class="muted">
        Files that are no instances by their name (DICOMDIR, .DS_Store, Thumbs.db) are skipped. To
        upload again does no harm: what is here already is not stored twice.
      </p>
      <button type="submit">Upload</button>
    </form>
  )
}

/** What became of an upload. */
export interface UploadReport {
  transferID: string
  state: 'committed' | 'refused'
  handling: Handling
  /** Instances that are stored, with those that were stored before. */
  storedCount: number
  duplicateCount: number
  refusals: Finding[]
  /** Nothing is wrong with these, but they came with one that was refused. */
  rolledBackCount: number
  warnings: Finding[]
  skippedCount: number
  /** Study Instance UIDs, each once. */
  studies: string[]
}

/** As many refusals, warnings and studies as the answer lists. */
const listed = 200

export function UploadAnswerPage({
  shell,
  report,
}: {
  shell?: Shell | undefined
  report: UploadReport
}) {
  const { state, transferID, refusals, warnings, studies, handling } = report
  const may = shell?.may ?? mayAll
  return (
    <Layout title="Upload" current="upload" shell={shell}>
      <h1>Upload</h1>
      <p class="verdict" role="status">
        <TransferBadge state={state} /> {verdictOf(report)}
      </p>
      {advicesOf(report).map((advice) => (
        <p>{advice}</p>
      ))}
      {studies.length > 0 && <StudyLinks studies={studies} may={may} />}
      {refusals.length > 0 && (
        <FindingTable
          caption={shownOf(refusals.length, 'refused instance')}
          findings={refusals.slice(0, listed)}
        />
      )}
      {warnings.length > 0 && (
        <FindingTable
          caption={shownOf(
            warnings.length,
            'instance stored with a warning',
            'instances stored with a warning',
          )}
          findings={warnings.slice(0, listed)}
        />
      )}
      {may('GET /transfers/:transfer') && (
        <p>
          <a href={paths.transfer(transferID)}>This transfer</a>
        </p>
      )}
      <h2>Upload more</h2>
      <UploadForm handling={handling} may={may} />
    </Layout>
  )
}

function StudyLinks({ studies, may }: { studies: string[]; may: May }) {
  return (
    <>
      <h2>{countOf(studies.length, 'study', 'studies')}</h2>
      <ul>
        {studies.slice(0, listed).map((studyInstanceUID) => (
          <li>
            <MayLink
              may={may}
              route="GET /studies/:study"
              class="uid"
              href={paths.study(studyInstanceUID)}
            >
              {studyInstanceUID}
            </MayLink>
          </li>
        ))}
      </ul>
      {studies.length > listed && (
        <p class="muted">And {countText(studies.length - listed)} more.</p>
      )}
    </>
  )
}

/** What happened, in one sentence. */
export function verdictOf(report: UploadReport): string {
  const { state, storedCount, duplicateCount, refusals, rolledBackCount } = report
  const refused = `${countOf(refusals.length, 'instance was', 'instances were')} refused`
  if (state === 'refused') return `Nothing of this upload was stored: ${refused}.`
  const already = duplicateCount === 0 ? '' : `; ${duplicatesOf(storedCount, duplicateCount)}`
  if (refusals.length > 0) {
    const total = storedCount + refusals.length + rolledBackCount
    return `${countText(storedCount)} of ${countOf(total, 'instance')} are stored; ${refused}${already}.`
  }
  if (storedCount === 1) return `The one instance is stored${already}.`
  return `All ${countText(storedCount)} instances are stored${already}.`
}

function duplicatesOf(storedCount: number, duplicateCount: number): string {
  if (duplicateCount < storedCount) return `${countText(duplicateCount)} of them were here already`
  return storedCount === 1 ? 'it was here already' : 'all of them were here already'
}

/** What it means, and what to do. */
function advicesOf({ state, rolledBackCount, skippedCount }: UploadReport): string[] {
  const advices: string[] = []
  if (state === 'refused' && rolledBackCount > 0) {
    const others =
      rolledBackCount === 1
        ? 'the other instance'
        : `the other ${countText(rolledBackCount)} instances`
    advices.push(
      `Nothing was found wrong with ${others}: choose lenient, or leave out what was refused, and upload again.`,
    )
  }
  if (skippedCount > 0) {
    advices.push(
      `${countOf(skippedCount, 'file was', 'files were')} skipped, as the name says that it is no instance.`,
    )
  }
  return advices
}

function shownOf(total: number, one: string, many?: string): string {
  const all = countOf(total, one, many)
  return total > listed ? `First ${countText(listed)} of ${all}` : all
}
