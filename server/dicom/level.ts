import { tagHex } from './bytes.ts'
import { type CharacterSet, defaultCharacterSet } from './character-sets.ts'

/** The root or an item: holds elements. */
export const DATA_SET = 0
/** Holds items. */
export const SEQUENCE = 1
/** Encapsulated pixel data: holds fragments. */
export const FRAGMENTS = 2

/** One thing that is open while the file is walked. Made once for each depth and used again for what opens there. */
export class Level {
  kind = DATA_SET
  /** Offset at which it must end; of undefined length: where the thing around it must. */
  end = Number.POSITIVE_INFINITY
  /** Of undefined length: a delimiter ends it. */
  open = false
  implicit = false
  bigEndian = false
  /** In force here; an item may have its own (PS3.3 C.12.1.1.2). */
  characterSet: CharacterSet = defaultCharacterSet
  /** In force here, for US or SS (JS-23). */
  pixelRepresentation = 0
  /** Whether this data set has a Pixel Representation of its own. */
  decides = false
  /** Of a sequence or fragments: its tag. */
  tag = 0
  /** Of a sequence: items so far. */
  item = 0
  /** Of fragments: offset of the value. */
  valueAt = 0
  /** Of a data set: its first place in the list of members. */
  firstMember = 0
  /** Of a data set: the last tag, -1 before the first. */
  lastTag = -1
  /** Of a data set: whether the tags came in ascending order. */
  sorted = true

  /** Takes over from the thing around it what holds until something else is said. */
  start(kind: number, outer: Level, end: number, open: boolean): void {
    this.kind = kind
    this.end = end
    this.open = open
    this.implicit = outer.implicit
    this.bigEndian = outer.bigEndian
    this.characterSet = outer.characterSet
    this.pixelRepresentation = outer.pixelRepresentation
    this.decides = false
    this.tag = 0
    this.valueAt = 0
    this.item = 0
    this.lastTag = -1
    this.sorted = true
  }
}

/** Where an element is: `7FE00010`, or `30060039.2.30060050` for one in the second item of a sequence. */
export function tagPath(levels: Level[], depth: number, tag: number): string {
  let path = ''
  for (let index = 1; index <= depth; index++) {
    const level = levels[index] as Level
    if (level.kind === SEQUENCE) path += `${tagHex(level.tag)}.${level.item}.`
  }
  return path + tagHex(tag)
}
