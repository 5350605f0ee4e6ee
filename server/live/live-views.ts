import { LiveView, type LiveViewDeps } from './live-view.ts'

/** Live views by name, as long as somebody watches them: those who see the same share one. */
export class LiveViews<Region> {
  readonly #deps: Omit<LiveViewDeps<Region>, 'look' | 'timing'>
  readonly #views = new Map<string, LiveView<Region>>()

  constructor(deps: Omit<LiveViewDeps<Region>, 'look' | 'timing'>) {
    this.#deps = deps
  }

  get watcherCount(): number {
    return [...this.#views.values()].reduce((sum, view) => sum + view.watcherCount, 0)
  }

  /**
   * The view with this name, which is to say everything that `look` depends on.
   *
   * The more views there are, the longer each waits between its looks, so that all together ask the database some
   * twenty times a second at most.
   */
  of(name: string, look: () => Promise<Map<string, Region>>): LiveView<Region> {
    for (const [known, view] of this.#views) {
      if (known !== name && view.watcherCount === 0) this.#views.delete(known)
    }
    const found = this.#views.get(name)
    if (found !== undefined) return found
    const timing = {
      betweenLooksMs: () => Math.max(250, this.#views.size * 50),
      heartbeatMs: 15_000,
    }
    const view = new LiveView({ ...this.#deps, look, timing })
    this.#views.set(name, view)
    return view
  }
}
