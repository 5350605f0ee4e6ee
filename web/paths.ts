/** Every address of the page, for views and routes alike. Never with patient data in it. */
export const paths = {
  studies: '/',
  /** Studies received before, or after, a place in the list. */
  studiesBefore: (cursor: string) => `/?before=${encodeURIComponent(cursor)}`,
  studiesAfter: (cursor: string) => `/?after=${encodeURIComponent(cursor)}`,
  study: (studyInstanceUID: string) => `/studies/${studyInstanceUID}`,
  transfer: (transferID: string) => `/transfers/${transferID}`,
  upload: '/upload',
  live: '/live',
  asset: (name: string) => `/assets/${name}`,
  studyInstances: (studyInstanceUID: string) => `/dicom-web/studies/${studyInstanceUID}`,
  studyMetadata: (studyInstanceUID: string) => `/dicom-web/studies/${studyInstanceUID}/metadata`,
  seriesInstances: (studyInstanceUID: string, seriesInstanceUID: string) =>
    `/dicom-web/studies/${studyInstanceUID}/series/${seriesInstanceUID}`,
}

/** The id of an element that stands for a resource; dashes, because a dot in a selector is a class. */
export function elementID(kind: string, name: string): string {
  return `${kind}-${name.replaceAll('.', '-')}`
}
