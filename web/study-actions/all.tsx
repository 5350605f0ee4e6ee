import { reopen } from './reopen.tsx'
import { settle } from './settle.tsx'
import type { StudyActionView } from './view.tsx'

/** In the order in which they stand on the page. */
export const studyActionViews: StudyActionView[] = [settle, reopen]
