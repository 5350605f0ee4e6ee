import type { Context } from 'hono'
import type { Database } from '../../db/database.ts'
import type { PageName } from '../../web/layout.tsx'
import type { LiveRegion } from '../../web/parts/live-message.tsx'
import type { Committer } from '../commitment/committer.ts'
import type { PeerAsker } from '../completeness/peer-asker.ts'
import type { AppEnv } from '../http/env.ts'
import type { Intake } from '../intake/intake.ts'
import type { Log } from '../log.ts'
import type { Store } from '../store/store.ts'
import type { StudyVerifier } from '../verification/study-verifier.ts'
import type { ShellReader } from './shell.ts'

/** What the pages have in common. */
export interface PageDeps {
  db: Database
  store: Store
  intake: Pick<Intake, 'untoldStudies'>
  log: Log
  shell: ShellReader
  /** Where the segments are, for how full its disk is. */
  storeDir: string
  /** Address of a viewer, with `{StudyInstanceUID}` in it. */
  viewerURL: string | undefined
  committer: Pick<Committer, 'wake' | 'finished'>
  /** Bytes of the instances of a commitment request up to which its result is waited for. */
  commitmentWaitBytes: number
  verifier: StudyVerifier
  peerAsker: Pick<PeerAsker, 'ask' | 'isConfigured'>
  /** Something was deleted. */
  deleted(): void
  /** Something has changed, or may be due. */
  changed(): void
  /**
   * Answers with the live stream of a page: its regions as they are, then those that changed.
   * @param name All that `look` depends on: who sees the same shares it.
   */
  stream(
    c: Context<AppEnv>,
    page: PageName,
    name: string,
    look: () => Promise<LiveRegion[]>,
  ): Promise<Response>
}
