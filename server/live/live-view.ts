import type { Log } from '../log.ts'
import type { LiveHub } from './live-hub.ts'

export interface LiveViewDeps<Region> {
  live: Pick<LiveHub, 'subscribe' | 'isStopped'>
  log: Log
  /** Reads what the view shows now: its regions by name. */
  look(): Promise<Map<string, Region>>
  /** What is another one if the region has to be told again. Default: the region itself. */
  signOf?(region: Region): unknown
  /** Default 250 and 15,000. */
  timing?: { betweenLooksMs: number | (() => number); heartbeatMs: number }
}

/** What a watcher is told: regions that are not as it saw them last; none is a sign of life. */
export type LiveNews<Region> = Map<string, Region>

/**
 * One view of the data, kept up to date for everybody who watches it.
 *
 * Idle
 *   Nobody watches, and nothing is read.
 *
 * Watched
 *   A notice of the hub leads to one look for all watchers together, and looks are at least
 *   `betweenLooksMs` apart; so the database is asked four times a second at most, however many
 *   browsers are open. A watcher that is slow skips what came meanwhile: it gets the newest state, and
 *   only the regions that differ from what it was given last. Without notices there is a look at each
 *   heartbeat, because a notice may be lost.
 *
 * Failed
 *   A look that fails ends all watches, so that a page says that it is not live and comes again.
 */
export class LiveView<Region> {
  readonly #deps: LiveViewDeps<Region>
  readonly #betweenLooksMs: number | (() => number)
  readonly #heartbeatMs: number
  readonly #watchers = new Set<() => void>()
  #unsubscribe: (() => void) | undefined
  #heartbeat: NodeJS.Timeout | undefined
  #next: NodeJS.Timeout | undefined
  #isLooking = false
  #isStale = false
  #lookedAt = 0
  #lookMs = 0
  /** Looks that are over, and the regions that the last good one found, each with the look that found it changed. */
  #lookCount = 0
  #regions = new Map<string, { region: Region; sign: unknown; since: number }>()
  /** Of the last look, by the look that its watchers were told of before: most were told of the same one. */
  #news = new Map<number, LiveNews<Region>>()
  #failure: Error | undefined

  constructor(deps: LiveViewDeps<Region>) {
    this.#deps = deps
    this.#betweenLooksMs = deps.timing?.betweenLooksMs ?? 250
    this.#heartbeatMs = deps.timing?.heartbeatMs ?? 15_000
  }

  get watcherCount(): number {
    return this.#watchers.size
  }

  /**
   * Watches until the signal is aborted or the hub stops. First comes all of the view as it is now. Watchers who saw the
   * same are told the same: one object for all of them.
   * @throws What `look` threw.
   */
  async *watch(signal: AbortSignal): AsyncGenerator<LiveNews<Region>, void, void> {
    let wake = () => {}
    let toldAt = performance.now()
    let seen = 0
    const heard = () => wake()
    signal.addEventListener('abort', heard)
    this.#join(heard)
    try {
      // A look that was under way may have missed what happened just before this.
      const first = this.#lookCount + (this.#isLooking ? 2 : 1)
      this.#look()
      for (;;) {
        if (signal.aborted || this.#deps.live.isStopped) return
        if (this.#lookCount >= first) {
          if (this.#failure !== undefined) throw this.#failure
          const news = this.#newsSince(seen)
          seen = this.#lookCount
          // Half, because the looks of the heartbeat began with another watcher.
          if (news.size > 0 || performance.now() - toldAt >= this.#heartbeatMs / 2) {
            toldAt = performance.now()
            yield news
            // While it was being taken, more may have come.
            continue
          }
        }
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    } finally {
      signal.removeEventListener('abort', heard)
      this.#leave(heard)
    }
  }

  #newsSince(seen: number): LiveNews<Region> {
    const known = this.#news.get(seen)
    if (known !== undefined) return known
    const news: LiveNews<Region> = new Map()
    for (const [name, { region, since }] of this.#regions) if (since > seen) news.set(name, region)
    this.#news.set(seen, news)
    return news
  }

  #join(watcher: () => void): void {
    this.#watchers.add(watcher)
    if (this.#watchers.size > 1) return
    this.#unsubscribe = this.#deps.live.subscribe(() => this.#heard())
    this.#heartbeat = setInterval(() => this.#look(), this.#heartbeatMs)
  }

  #leave(watcher: () => void): void {
    this.#watchers.delete(watcher)
    if (this.#watchers.size > 0) return
    this.#unsubscribe?.()
    clearInterval(this.#heartbeat)
    clearTimeout(this.#next)
    this.#next = undefined
  }

  #heard(): void {
    if (this.#deps.live.isStopped) this.#tell()
    else this.#look()
  }

  #look(): void {
    if (this.#isLooking) {
      this.#isStale = true
    } else if (this.#next === undefined) {
      const between = this.#betweenLooksMs
      const betweenMs = typeof between === 'number' ? between : between()
      // What costs more is looked at less often: half of the time at most, and every 2 s all the same.
      const pauseMs = Math.max(betweenMs, Math.min(2 * this.#lookMs, 2000))
      const waitMs = Math.max(0, this.#lookedAt + pauseMs - performance.now())
      this.#next = setTimeout(() => void this.#lookNow(), waitMs)
    }
  }

  async #lookNow(): Promise<void> {
    this.#next = undefined
    this.#isLooking = true
    this.#isStale = false
    this.#lookedAt = performance.now()
    try {
      this.#keep(await this.#deps.look())
      this.#failure = undefined
    } catch (error) {
      this.#failure = error as Error
      this.#deps.log.debug('a live view could not be read', { error: (error as Error).name })
    }
    this.#lookMs = performance.now() - this.#lookedAt
    this.#isLooking = false
    this.#lookCount++
    this.#news.clear()
    this.#tell()
    if (this.#isStale && this.#watchers.size > 0) this.#look()
  }

  #keep(regions: Map<string, Region>): void {
    const signOf = this.#deps.signOf ?? ((region: Region) => region)
    const last = this.#regions
    this.#regions = new Map()
    for (const [name, region] of regions) {
      const sign = signOf(region)
      const before = last.get(name)
      const since = before && before.sign === sign ? before.since : this.#lookCount + 1
      this.#regions.set(name, { region, sign, since })
    }
  }

  #tell(): void {
    for (const watcher of [...this.#watchers]) watcher()
  }
}
