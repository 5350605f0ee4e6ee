import type { InstanceEvidence } from '../../db/transfers.ts'
import type { AttributeKeyword, Attributes, Instance } from '../dicom/instance.ts'
import { referencedInstances } from '../dicom/references.ts'
import { isUID } from '../dicom/uid.ts'

/**
 * From what an instance says the number of instances of its series follows: the product of these, if it has all of
 * them. The first three are Orthanc's rules. They count images, so they say nothing of files with many frames.
 */
const seriesRules = rules([
  ['imagesInAcquisition', 'numberOfTemporalPositions'],
  ['numberOfSlices', 'numberOfTimeSlices'],
  ['cardiacNumberOfImages'],
  ['numberOfSeriesRelatedInstances'],
])

const largest = 2 ** 31 - 1

/** What an instance says of how many others there are, and of which; undefined: nothing. */
export function evidenceOf(instance: Instance): InstanceEvidence | undefined {
  const { attributes } = instance
  const evidence: InstanceEvidence = {}
  const study = countIn(whole(attributes, 'numberOfStudyRelatedInstances'))
  if (study !== undefined) evidence.study = { NumberOfStudyRelatedInstances: study }
  const series = seriesEvidence(attributes)
  if (series !== undefined) evidence.series = series
  const references = referencedInstances(instance.metadata, instance).filter(isUID)
  if (references.length > 0) evidence.references = references
  const { study: ofStudy, series: ofSeries, references: others } = evidence
  return ofStudy === undefined && ofSeries === undefined && others === undefined
    ? undefined
    : evidence
}

/** The counts of its series that follow, by rule; nearly all instances have none. */
function seriesEvidence(attributes: Attributes): Record<string, number> | undefined {
  let series: Record<string, number> | undefined
  for (const { names, title } of seriesRules) {
    let product: number | undefined = 1
    for (const name of names) {
      const factor = whole(attributes, name)
      product = factor === undefined || product === undefined ? undefined : product * factor
    }
    const count = countIn(product)
    if (count !== undefined) series = { ...series, [title]: count }
  }
  return (whole(attributes, 'numberOfFrames') ?? 1) === 1 ? series : undefined
}

/** A number, if it is one of instances. */
function countIn(number: number | undefined): number | undefined {
  return number !== undefined && number >= 1 && number <= largest ? number : undefined
}

function whole(attributes: Attributes, name: AttributeKeyword): number | undefined {
  const text = attributes[name]
  return text !== undefined && /^\+?\d{1,10}$/.test(text) ? Number(text) : undefined
}

/** Each with its title: `ImagesInAcquisition x NumberOfTemporalPositions`. */
function rules(all: AttributeKeyword[][]): { names: AttributeKeyword[]; title: string }[] {
  return all.map((names) => ({
    names,
    title: names.map((name) => name.charAt(0).toUpperCase() + name.slice(1)).join(' x '),
  }))
}
