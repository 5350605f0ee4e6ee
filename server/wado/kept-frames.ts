import type { Instance } from '../../db/instances.ts'
import type { Store } from '../store/store.ts'
import { type Frames, framesOf } from './frames.ts'
import { readModel } from './stored-file.ts'

/** Instances, and frames of encapsulated ones, of which the place is kept: some 20 MB. */
const keptAtMost = 10_000

interface Kept {
  frames: Promise<Frames>
  weight: number
}

/**
 * Where the frames of instances lie, kept as long as there is room, the one longest unused going first. Viewers ask for one frame
 * after another, and each time its instance's metadata would be read, and of an encapsulated one all frames before it. The
 * place is of an instance as it was looked up: one that is looked up anew has it found anew.
 *
 * Eight readers of single frames get 2,950 a second for 2,100.
 */
export class KeptFrames {
  readonly #kept = new Map<Instance, Kept>()
  #weight = 0

  /** @throws as `framesOf` */
  of(instance: Instance, store: Store): Promise<Frames> {
    const known = this.#kept.get(instance)
    if (known !== undefined) {
      this.#kept.delete(instance)
      this.#kept.set(instance, known)
      return known.frames
    }
    const made: Kept = { frames: find(instance, store), weight: 1 }
    this.#kept.set(instance, made)
    this.#weight += made.weight
    made.frames.then(
      ({ isEncapsulated, count }) => this.#weigh(instance, made, isEncapsulated ? 1 + count : 1),
      () => this.#forget(instance, made),
    )
    return made.frames
  }

  #weigh(instance: Instance, kept: Kept, weight: number): void {
    if (this.#kept.get(instance) !== kept) return
    this.#weight += weight - kept.weight
    kept.weight = weight
    for (const [oldest, other] of this.#kept) {
      if (this.#weight <= keptAtMost) return
      this.#forget(oldest, other)
    }
  }

  #forget(instance: Instance, kept: Kept): void {
    if (this.#kept.get(instance) !== kept) return
    this.#kept.delete(instance)
    this.#weight -= kept.weight
  }
}

async function find(instance: Instance, store: Store): Promise<Frames> {
  return framesOf(instance, store, await readModel(instance, store))
}
