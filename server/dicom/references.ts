/** The DICOM JSON model, as far as it is walked here. (PS3.18 F.2) */
interface Item {
  [tag: string]: { Value?: unknown[] } | undefined
}

const studyInstanceUID = '0020000D'
const referencedSOPInstanceUID = '00081155'

/** SOP classes of objects that are about others: SR and Key Object, presentation states, segmentations, RT. */
const aboutOthers =
  /^1\.2\.840\.10008\.5\.1\.4\.1\.1\.(88|11|66|481)\.|^1\.2\.840\.10008\.5\.1\.4\.1\.1\.88$/

/** Metadata that are longer are not looked into: parsing takes some 10 ms for each MB. */
const longestMetadata = 4 * 1024 * 1024

/** More of them are not taken. */
const mostReferences = 5000

/**
 * The instances of its own study that an object refers to, each once, without itself. Only where the object says of
 * which study they are, or can mean no other:
 *
 * - Current Requested Procedure Evidence Sequence and Pertinent Other Evidence Sequence (PS3.3 C.17.2, C.18.8):
 *   manifests, Key Object Selections, SR; items name their study
 * - Referenced Series Sequence (PS3.3 C.11.11, C.12.2): presentation states, segmentations; the study is their own
 * - RT Referenced Study Sequence (PS3.3 C.8.8.5): structure sets; items name their study
 *
 * @param metadata The DICOM JSON model of one instance.
 */
export function referencedInstances(
  metadata: Uint8Array,
  instance: { sopClassUID: string; sopInstanceUID: string; studyInstanceUID: string },
): string[] {
  if (!aboutOthers.test(instance.sopClassUID) || metadata.length > longestMetadata) return []
  const root = JSON.parse(Buffer.from(metadata).toString()) as Item
  const found = new Set<string>()
  const take = (items: Item[]) => {
    for (const item of items) {
      const uid = text(item, referencedSOPInstanceUID)
      if (uid !== undefined && found.size < mostReferences) found.add(uid)
    }
  }
  const own = instance.studyInstanceUID
  for (const tag of ['0040A375', '0040A385']) {
    for (const study of itemsOf(root, tag)) {
      if (text(study, studyInstanceUID) !== own) continue
      for (const series of itemsOf(study, '00081115')) take(itemsOf(series, '00081199'))
    }
  }
  for (const series of itemsOf(root, '00081115')) {
    take(itemsOf(series, '0008114A'))
    take(itemsOf(series, '00081140'))
  }
  for (const frame of itemsOf(root, '30060010')) {
    for (const study of itemsOf(frame, '30060012')) {
      // Its Referenced SOP Instance UID is the Study Instance UID.
      if (text(study, referencedSOPInstanceUID) !== own) continue
      for (const series of itemsOf(study, '30060014')) take(itemsOf(series, '30060016'))
    }
  }
  found.delete(instance.sopInstanceUID)
  return [...found]
}

function itemsOf(item: Item, tag: string): Item[] {
  const values = item[tag]?.Value ?? []
  return values.filter((value): value is Item => typeof value === 'object' && value !== null)
}

function text(item: Item, tag: string): string | undefined {
  const value = item[tag]?.Value?.[0]
  return typeof value === 'string' && value !== '' ? value : undefined
}
