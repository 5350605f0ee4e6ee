import type { Instance } from '../../db/instances.ts'
import { Kept } from '../kept.ts'
import type { Store } from '../store/store.ts'
import { type Frames, framesOf } from './frames.ts'
import { readModel } from './stored-file.ts'

/** Bytes of all that is kept, and about how many it takes for an instance, and for each frame of an encapsulated one. */
const keptBytes = 32 * 2 ** 20
const instanceBytes = 2000
const frameBytes = 64

/**
 * Where the frames of instances lie, kept as long as there is room, the one longest unused going first. Viewers ask for one frame
 * after another, and each time its instance's metadata would be read, and of an encapsulated one all frames before it. The
 * place is of an instance as it was looked up: one that is looked up anew has it found anew.
 *
 * Eight readers of single frames get 2,950 a second, and 2,100 without.
 */
export class KeptFrames {
  readonly #kept = new Kept<Instance, Promise<Frames>>(keptBytes)
  readonly #find: typeof findFrames

  constructor(find = findFrames) {
    this.#find = find
  }

  /** @throws as `framesOf` */
  of(instance: Instance, store: Store): Promise<Frames> {
    const known = this.#kept.get(instance)
    if (known !== undefined) return known
    const frames = this.#find(instance, store)
    this.#kept.set(instance, frames, instanceBytes)
    frames.then(
      ({ isEncapsulated, count }) => {
        if (!isEncapsulated || this.#kept.get(instance) !== frames) return
        this.#kept.set(instance, frames, instanceBytes + count * frameBytes)
      },
      () => {
        if (this.#kept.get(instance) === frames) this.#kept.delete(instance)
      },
    )
    return frames
  }
}

export async function findFrames(instance: Instance, store: Store): Promise<Frames> {
  return framesOf(instance, store, await readModel(instance, store))
}
