/** @jsxImportSource hono/jsx */
import type { Child } from 'hono/jsx'
import type { ListedStudy } from '../../db/study-list.ts'
import { paths } from '../paths.ts'

/** How one action is offered on the page of a study: one file each, in the list of `all.tsx`. */
export interface StudyActionView {
  /** In addresses; the same as on the server's side. */
  name: string
  /** What is said in place when it is done. */
  done: string
  isOffered(study: ListedStudy): boolean
  /** A form that posts to `paths.studyAction`. */
  view(study: ListedStudy): Child
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
