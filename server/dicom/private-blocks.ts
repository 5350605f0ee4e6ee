import { tagName } from './bytes.ts'
import type { ModelAttribute, ModelDataSet } from './data-set-model.ts'
import { MetadataError } from './errors.ts'

/**
 * Gives the private attributes of a data set that name their creator the block of that creator; one that has no
 * block yet gets the first that is free, and a Private Creator element.
 *
 * @returns The same list when there is none of these, else a new one.
 * @throws {MetadataError} a group has more creators than blocks → refusal 0xC000
 * @see PS3.5 7.8.1, PS3.19 A.1.5; JS-22
 */
export function withBlocks(dataSet: ModelDataSet): ModelDataSet {
  if (!dataSet.some(needsBlock)) return dataSet
  const result: ModelDataSet = []
  /** Blocks by group and creator, and all that are taken. */
  const blocks = new Map<string, number>()
  const taken = new Set<number>()
  for (const { tag, values } of dataSet) {
    if (!isCreator(tag)) continue
    taken.add(tag)
    if (typeof values[0] === 'string') blocks.set(`${tag >>> 16} ${values[0].trim()}`, tag & 0xff)
  }
  for (const attribute of dataSet) {
    if (!needsBlock(attribute)) {
      result.push(attribute)
      continue
    }
    const { tag } = attribute
    const creator = (attribute.privateCreator as string).trim()
    const key = `${tag >>> 16} ${creator}`
    let block = blocks.get(key)
    if (block === undefined) {
      const creatorTag = freeBlock(tag, taken)
      taken.add(creatorTag)
      block = creatorTag & 0xff
      blocks.set(key, block)
      result.push({ tag: creatorTag, vr: 'LO', values: [creator] })
    }
    result.push({ ...attribute, tag: ((tag & 0xffff00ff) | (block << 8)) >>> 0 })
  }
  return result
}

function needsBlock({ tag, privateCreator }: ModelAttribute): boolean {
  return privateCreator !== undefined && (tag & 0x10000) !== 0 && (tag & 0xff00) === 0
}

function isCreator(tag: number): boolean {
  const element = tag & 0xffff
  return (tag & 0x10000) !== 0 && element >= 0x10 && element <= 0xff
}

function freeBlock(tag: number, taken: ReadonlySet<number>): number {
  const group = tag & 0xffff0000
  for (let block = 0x10; block <= 0xff; block++) {
    const creatorTag = (group | block) >>> 0
    if (!taken.has(creatorTag)) return creatorTag
  }
  throw new MetadataError(`element ${tagName(tag)} finds no free block for its private creator`)
}
