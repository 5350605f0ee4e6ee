/** Values that are kept while there is room for them, the one longest unused going first. */
export class Kept<K, V> {
  readonly #room: number
  readonly #isHeld: (value: V) => boolean
  readonly #kept = new Map<K, { value: V; size: number }>()
  #size = 0

  /**
   * @param room In whatever their sizes are told.
   * @param isHeld Whether somebody holds it in memory all the same: then it stays, and is counted.
   */
  constructor(room: number, isHeld: (value: V) => boolean = () => false) {
    this.#room = room
    this.#isHeld = isHeld
  }

  has(key: K): boolean {
    return this.#kept.has(key)
  }

  get(key: K): V | undefined {
    const found = this.#kept.get(key)
    if (found === undefined) return undefined
    this.#kept.delete(key)
    this.#kept.set(key, found)
    return found.value
  }

  /** In the place of what it was. What is too large for all the room is not kept, and takes nobody else's. */
  set(key: K, value: V, size: number): void {
    this.delete(key)
    if (size > this.#room) return
    for (const [oldest, kept] of this.#kept) {
      if (this.#size + size <= this.#room) break
      if (!this.#isHeld(kept.value)) this.delete(oldest)
    }
    if (this.#size + size > this.#room) return
    this.#kept.set(key, { value, size })
    this.#size += size
  }

  delete(key: K): void {
    const found = this.#kept.get(key)
    if (found === undefined) return
    this.#kept.delete(key)
    this.#size -= found.size
  }
}
