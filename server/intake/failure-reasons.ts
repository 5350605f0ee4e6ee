/**
 * The Failure and Warning Reasons of our own, and those the intake itself gives.
 *
 * Those of a single file (not DICOM, truncated, a bad UID) come with the errors of `dicom/errors.ts`;
 * those of an instance that meets what is stored already (0x0111, 0x0119, 0xa902, 0xa903), or that was deleted
 * (0xc410, a code of our own), come from `store_staged`.
 *
 * @see PS3.18 Tables I.2-1 and I.2-2; PS3.7 Annex C; docs/conformance.md
 */
export const intakeReasons = {
  /** Nothing is wrong with this instance; another one of the same strict request was refused. (AT-02) */
  rolledBackWithRequest: 0xc0ff,
  /** Study Instance UID is not the one in the path of the request. (DV-14, AT-04) */
  studyMismatch: 0xa901,
  /** The series came with another study earlier in the same request. (AT-12) */
  seriesInOtherStudy: 0xa903,
  /** The same SOP Instance UID came with other bytes earlier in the same request. (AT-09) */
  duplicateSOPInstance: 0x0111,
} as const

/** Stored, although an attribute has an invalid value or contradicts its study. (DV-18, DV-19) */
export const dataSetDoesNotMatchWarning = 0xb007
