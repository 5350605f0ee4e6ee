/** @jsxImportSource hono/jsx */
import type { Child } from 'hono/jsx'
import type { KeptEvidence } from '../../db/evidence.ts'
import type { Study } from '../../db/instances.ts'
import type { DeletionLevel } from '../../db/schema.ts'
import type { ListedStudy } from '../../db/study-list.ts'
import type { May } from '../may.ts'
import { paths } from '../paths.ts'

/** What of a study an action is about: all of it, or a series or an instance of it. */
export interface ActionTarget {
  level: DeletionLevel
  seriesInstanceUID?: string | undefined
  sopInstanceUID?: string | undefined
  instanceCount: number
  byteLength: number
  committedInstanceCount: number
}

/** What depends on how the server was set up, and on who looks. */
export interface Means {
  isPeerConfigured: boolean
  /** Default: everything. */
  may?: May | undefined
}

/** What somebody is shown who is asked before an action. */
export interface Ask {
  study: Study
  target: ActionTarget
  /** What was typed, if it was not understood. */
  form: URLSearchParams
  problem?: AskProblem | undefined
  /** What was declared of the study before. */
  declared?: KeptEvidence | undefined
}

export interface AskProblem {
  detail: string
  /** Name of the field that it is about. */
  field?: string | undefined
}

/** How one action is offered on the page of a study: one file each, in the list of `all.tsx`. */
export interface StudyActionView {
  /** In addresses; the same as on the server's side. */
  name: string
  /** What is said in place when it is done. @param said Numbers that the action gave. */
  done(said: URLSearchParams): string
  isOffered(study: ListedStudy, means: Means): boolean
  /** A form that posts to `paths.studyAction`, or a link to the page that asks first. */
  view(study: ListedStudy): Child
  /** A page of its own: for what needs words, or takes something away. */
  ask?: { title(ask: Ask): string; view(ask: Ask): Child }
}

/** A number that an action gave. */
export function numberIn(said: URLSearchParams, name: string): number {
  const text = said.get(name) ?? ''
  return /^\d{1,15}$/.test(text) ? Number(text) : 0
}

interface ActionFormProps {
  study: ListedStudy
  name: string
  label: string
  title: string
}

/** An action that needs no more than a press. */
export function ActionForm({ study, name, label, title }: ActionFormProps) {
  return (
    <form method="post" action={paths.studyAction(study.studyInstanceUID, name)}>
      <button class="second" type="submit" title={title}>
        {label}
      </button>
    </form>
  )
}

/** Leads to the page that asks. */
export function AskLink({ study, name, label }: Omit<ActionFormProps, 'title'>) {
  return (
    <a class="button second" href={paths.askAction(study.studyInstanceUID, name)}>
      {label}
    </a>
  )
}

interface AskFormProps {
  ask: Ask
  name: string
  children: Child
}

/** The form on the page that asks; it posts to where it stands. */
export function AskForm({ ask: { study, target, problem }, name, children }: AskFormProps) {
  return (
    <form
      class="upload"
      method="post"
      action={paths.askAction(study.studyInstanceUID, name, target)}
    >
      {problem && (
        <p id="problem" class="notice" data-tone="danger" role="alert">
          {problem.detail}
        </p>
      )}
      {children}
    </form>
  )
}

/** Of a field that the problem is about: says so to those who listen, and takes the focus. */
export function faultOf({ problem }: Ask, field: string) {
  return problem?.field === field
    ? { 'aria-invalid': 'true' as const, 'aria-describedby': 'problem', autofocus: true }
    : {}
}

export function BackLink({ ask: { study, target } }: { ask: Ask }) {
  const { studyInstanceUID } = study
  const { seriesInstanceUID, sopInstanceUID } = target
  const href =
    seriesInstanceUID === undefined
      ? paths.study(studyInstanceUID)
      : sopInstanceUID === undefined
        ? paths.series(studyInstanceUID, seriesInstanceUID)
        : paths.instance(studyInstanceUID, seriesInstanceUID, sopInstanceUID)
  return (
    <a href={href} data-back>
      Leave it as it is
    </a>
  )
}
