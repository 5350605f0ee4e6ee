import { readFileSync } from 'node:fs'
import type { Context } from 'hono'
import type { Database } from '../../db/database.ts'
import { readSigns, type Signs } from '../../db/health.ts'
import { studiesUnderWay } from '../../db/study-list.ts'
import type { Shell, ShellSigns } from '../../web/layout.tsx'
import { deliveryLagLimitMs } from '../../web/pages/health-page.tsx'
import { durationText } from '../../web/parts/instant.tsx'
import { countOf } from '../../web/parts/quantity.tsx'
import { visitOf } from '../../web/preferences.ts'
import type { AppEnv } from '../http/env.ts'
import { hasSessionCookie } from '../http/session-cookie.ts'
import type { Intake } from '../intake/intake.ts'
import { freeSpace } from './disk.ts'
import { memo } from './memo.ts'

export interface ShellDeps {
  db: Database
  intake: Pick<Intake, 'untoldStudies'>
  storeDir: string
}

export const version = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
).version

/** Beyond it, what is due and not settled says that the scheduler does not run. */
const lagLimitMs = 60_000
const diskLimits = { waiting: 0.1, danger: 0.03 }

/** What stands around the pages. */
export class ShellReader {
  readonly #deps: ShellDeps
  #signs: () => Promise<ShellSigns>

  constructor(deps: ShellDeps) {
    this.#deps = deps
    this.#signs = this.#anew()
  }

  /** Somebody did something here, and is to see at once what it came to. */
  forget(): void {
    this.#signs = this.#anew()
  }

  #anew(): () => Promise<ShellSigns> {
    return memo(1000, () => readShellSigns(this.#deps))
  }

  /** Also where the database does not answer. */
  async read(c: Context<AppEnv>): Promise<Shell> {
    const request = c.req.raw
    // Whoever is not known is told nothing of the whole.
    const isKnown = c.get('may') === undefined || c.get('identity') !== undefined
    const status = isKnown ? await this.signs().catch(() => undefined) : undefined
    const isSignedIn = hasSessionCookie(request.headers)
    return {
      ...visitOf(request),
      version,
      now: new Date(),
      status,
      isSignedIn,
      userName: c.get('identity')?.name.replace(/^[a-z]+:/, ''),
      may: c.get('may'),
    }
  }

  signs(): Promise<ShellSigns> {
    return this.#signs()
  }
}

async function readShellSigns({ db, intake, storeDir }: ShellDeps): Promise<ShellSigns> {
  const [underWay, space] = await Promise.all([
    studiesUnderWay(db, intake.untoldStudies),
    freeSpace(storeDir),
  ])
  const signs = await readSigns(db, underWay)
  const free = space === undefined ? 1 : space.freeBytes / space.totalBytes
  return {
    ...worstOf(signs, free),
    receivingCount: signs.receivingCount,
    refusedCount: signs.refusedCount,
    waitingCommitmentCount: signs.waitingCommitmentCount,
    deadDeliveryCount: signs.deadDeliveryCount,
  }
}

/** The worst of all checks, in words. @param free Part of the disk, 0 to 1. */
export function worstOf(signs: Signs, free: number): Pick<ShellSigns, 'tone' | 'word'> {
  const full = `Disk ${Math.floor((1 - free) * 100)} % full`
  if (free < diskLimits.danger) return { tone: 'danger', word: full }
  if (signs.damagedStudyCount > 0) {
    return {
      tone: 'danger',
      word: `${countOf(signs.damagedStudyCount, 'study', 'studies')} damaged`,
    }
  }
  if (signs.schedulerLagMs > lagLimitMs) {
    return { tone: 'danger', word: `Scheduler ${durationText(signs.schedulerLagMs)} behind` }
  }
  if (free < diskLimits.waiting) return { tone: 'waiting', word: full }
  if (signs.deadDeliveryCount > 0) {
    return { tone: 'waiting', word: `${countOf(signs.deadDeliveryCount, 'webhook message')} stuck` }
  }
  if (signs.deliveryLagMs > deliveryLagLimitMs) return { tone: 'waiting', word: 'Webhooks behind' }
  return { tone: 'success', word: 'All well' }
}
