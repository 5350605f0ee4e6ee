import type { Instance } from '../../db/instances.ts'
import type { Store } from '../store/store.ts'
import { type Frames, framesOf } from './frames.ts'
import { readModel } from './stored-file.ts'

/** Bytes of all that is kept, and about how many it takes for an instance, and for each frame of an encapsulated one. */
const keptBytes = 32 * 2 ** 20
const instanceBytes = 2000
const frameBytes = 64

interface Kept {
  frames: Promise<Frames>
  bytes: number
}

/**
 * Where the frames of instances lie, kept as long as there is room, the one longest unused going first. Viewers ask for one frame
 * after another, and each time its instance's metadata would be read, and of an encapsulated one all frames before it. The
 * place is of an instance as it was looked up: one that is looked up anew has it found anew.
 *
 * Eight readers of single frames get 2,950 a second, and 2,100 without.
 */
export class KeptFrames {
  readonly #kept = new Map<Instance, Kept>()
  #bytes = 0

  readonly #find: typeof findFrames

  constructor(find = findFrames) {
    this.#find = find
  }

  /** @throws as `framesOf` */
  of(instance: Instance, store: Store): Promise<Frames> {
    const known = this.#kept.get(instance)
    if (known !== undefined) {
      this.#kept.delete(instance)
      this.#kept.set(instance, known)
      return known.frames
    }
    const made: Kept = { frames: this.#find(instance, store), bytes: instanceBytes }
    this.#kept.set(instance, made)
    this.#bytes += made.bytes
    made.frames.then(
      ({ isEncapsulated, count }) => this.#weigh(instance, made, isEncapsulated ? count : 0),
      () => this.#forget(instance, made),
    )
    return made.frames
  }

  #weigh(instance: Instance, kept: Kept, frameCount: number): void {
    if (this.#kept.get(instance) !== kept) return
    const more = frameCount * frameBytes
    // It would take all others out, and not stay itself.
    if (more > keptBytes) {
      this.#forget(instance, kept)
      return
    }
    this.#bytes += more
    kept.bytes += more
    for (const [oldest, other] of this.#kept) {
      if (this.#bytes <= keptBytes) return
      this.#forget(oldest, other)
    }
  }

  #forget(instance: Instance, kept: Kept): void {
    if (this.#kept.get(instance) !== kept) return
    this.#kept.delete(instance)
    this.#bytes -= kept.bytes
  }
}

export async function findFrames(instance: Instance, store: Store): Promise<Frames> {
  return framesOf(instance, store, await readModel(instance, store))
}
