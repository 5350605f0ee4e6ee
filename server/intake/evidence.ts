import type { InstanceEvidence } from '../../db/transfers.ts'
import type { AttributeKeyword, Attributes, Instance } from '../dicom/instance.ts'
import { referencedInstances } from '../dicom/references.ts'
import { isUID } from '../dicom/uid.ts'

/**
 * From what an instance says the number of instances of its series follows: the product of these, if it has all of
 * them. The first three are Orthanc's rules. They count images, so they say nothing of files with many frames.
 */
const seriesRules: (readonly AttributeKeyword[])[] = [
  ['imagesInAcquisition', 'numberOfTemporalPositions'],
  ['numberOfSlices', 'numberOfTimeSlices'],
  ['cardiacNumberOfImages'],
  ['numberOfSeriesRelatedInstances'],
]

const largest = 2 ** 31 - 1

/** What an instance says of how many others there are, and of which; undefined: nothing. */
export function evidenceOf(instance: Instance): InstanceEvidence | undefined {
  const { attributes } = instance
  const isOneImage = (whole(attributes, 'numberOfFrames') ?? 1) === 1
  const series = Object.fromEntries(
    seriesRules.flatMap((rule) => {
      const product = rule.reduce((n, name) => n * (whole(attributes, name) ?? Number.NaN), 1)
      return isOneImage && product >= 1 && product <= largest ? [[nameOf(rule), product]] : []
    }),
  )
  const related = whole(attributes, 'numberOfStudyRelatedInstances')
  const references = referencedInstances(instance.metadata, instance).filter(isUID)
  const evidence: InstanceEvidence = {
    ...(related === undefined || related < 1 || related > largest
      ? {}
      : { study: { NumberOfStudyRelatedInstances: related } }),
    ...(Object.keys(series).length === 0 ? {} : { series }),
    ...(references.length === 0 ? {} : { references }),
  }
  return Object.keys(evidence).length === 0 ? undefined : evidence
}

function whole(attributes: Attributes, name: AttributeKeyword): number | undefined {
  const text = attributes[name]
  return text !== undefined && /^\+?\d{1,10}$/.test(text) ? Number(text) : undefined
}

/** `ImagesInAcquisition x NumberOfTemporalPositions` */
function nameOf(rule: readonly AttributeKeyword[]): string {
  return rule.map((name) => name.charAt(0).toUpperCase() + name.slice(1)).join(' x ')
}
