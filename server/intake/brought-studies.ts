import type { AnnouncedStudy } from '../../db/stability.ts'
import type { Attributes } from '../dicom/instance-reader.ts'

/**
 * The studies that a transfer is bringing: what is on its way does not settle. (OTA-3)
 *
 * Known here from the moment when the head of a part names them; told to the database as soon as the
 * transfer has a row, since other servers settle too.
 */
export class BroughtStudies {
  /** Those whose patient is known, or of which an instance came that has none. */
  readonly #seen = new Set<string>()
  #untold: AnnouncedStudy[] = []
  #telling: AnnouncedStudy[] = []

  /** @param studyInstanceUID From the path of the request; whose it is its first instance says. */
  constructor(studyInstanceUID: string | undefined) {
    if (studyInstanceUID !== undefined) this.#untold.push({ studyInstanceUID })
  }

  /** To be called when an instance that is being read has named its study, with what else is known of it by then. */
  note(studyInstanceUID: string, attributes: Attributes | undefined): void {
    if (this.#seen.has(studyInstanceUID)) return
    this.#seen.add(studyInstanceUID)
    // Patient ID and its issuer come before the Study Instance UID: elements are in the order of their tags.
    const { patientID, issuerOfPatientID } = attributes ?? {}
    this.#untold = this.#untold.filter((study) => study.studyInstanceUID !== studyInstanceUID)
    this.#untold.push({ studyInstanceUID, patientID, issuerOfPatientID })
  }

  /** What only this server knows to be on its way. */
  get untold(): AnnouncedStudy[] {
    return [...this.#telling, ...this.#untold]
  }

  get hasUntold(): boolean {
    return this.#untold.length > 0
  }

  /** @throws what `tell` throws; they stay untold then. */
  async tell(tell: (studies: AnnouncedStudy[]) => Promise<void>): Promise<void> {
    const studies = this.#untold
    this.#untold = []
    this.#telling.push(...studies)
    try {
      await tell(studies)
    } catch (error) {
      this.#untold.push(...studies)
      throw error
    } finally {
      this.#telling = this.#telling.filter((study) => !studies.includes(study))
    }
  }
}
