/** Milliseconds after which nobody waits any more for the work before: it may hang. */
const patienceMs = 50

interface Group<T> {
  promise: Promise<T>
  begin(): void
  /** @param signal Aborted when the member leaves. */
  join(signal: AbortSignal): void
}

/**
 * Does at once what many ask for at once: who comes while the same is being done waits for its end, and it is done again then, for
 * all who came meanwhile. So nobody is given what was true before he asked.
 */
export class Sharing<T> {
  /** By key, for as long as something is being done: who waits for its end. */
  readonly #waiting = new Map<string, Group<T> | undefined>()

  /**
   * @param key Of the same work always.
   * @param signal Aborted when who asks leaves.
   * @param work Given a signal that is aborted when all have left.
   * @throws what the work throws, to all who share it
   */
  run(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const isBeingDone = this.#waiting.has(key)
    const group = this.#waiting.get(key) ?? groupFor(work)
    group.join(signal)
    if (isBeingDone) this.#waiting.set(key, group)
    else this.#begin(key, group)
    return group.promise
  }

  #begin(key: string, group: Group<T>): void {
    this.#waiting.set(key, undefined)
    let isOver = false
    const goOn = () => {
      if (isOver) return
      isOver = true
      clearTimeout(timer)
      const next = this.#waiting.get(key)
      if (next === undefined) this.#waiting.delete(key)
      else this.#begin(key, next)
    }
    const timer = setTimeout(goOn, patienceMs)
    group.promise.then(goOn, goOn)
    group.begin()
  }
}

function groupFor<T>(work: (signal: AbortSignal) => Promise<T>): Group<T> {
  const allLeft = new AbortController()
  let members = 0
  let isBegun = false
  let start = () => {}
  const promise = new Promise<T>((resolve) => {
    start = () => resolve(work(allLeft.signal))
  })
  // Before it is begun, others may still come.
  function abortIfEmpty(): void {
    if (isBegun && members === 0) allLeft.abort()
  }
  function leave(): void {
    members--
    abortIfEmpty()
  }
  return {
    promise,
    begin() {
      isBegun = true
      abortIfEmpty()
      start()
    },
    join(signal) {
      members++
      if (signal.aborted) leave()
      else signal.addEventListener('abort', leave, { once: true })
    },
  }
}
