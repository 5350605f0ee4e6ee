/** Values that are kept while there is room for them, the one longest unused going first. */
export class Kept<K, V> {
  readonly #room: number
  readonly #kept = new Map<K, { value: V; size: number }>()
  #size = 0

  /** @param room In whatever their sizes are told. */
  constructor(room: number) {
    this.#room = room
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
    this.#kept.set(key, { value, size })
    this.#size += size
    for (const oldest of this.#kept.keys()) {
      if (this.#size <= this.#room) return
      this.delete(oldest)
    }
  }

  delete(key: K): void {
    const found = this.#kept.get(key)
    if (found === undefined) return
    this.#kept.delete(key)
    this.#size -= found.size
  }
}
