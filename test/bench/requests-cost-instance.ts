/** The one instance that `requests-cost.ts` sends and asks for, and its 12 KB. */
export const instance = {
  studyInstanceUID: '1.2.826.0.1.3680043.8.498.45787101013572440152',
  seriesInstanceUID: '1.2.826.0.1.3680043.8.498.45787101013572440153.1',
  sopInstanceUID: '1.2.826.0.1.3680043.8.498.45787101013572440154.1.1',
  sopClassUID: '1.2.840.10008.5.1.4.1.1.2',
  transferSyntaxUID: '1.2.840.10008.1.2.1',
  seriesKey: 1,
  segmentID: 'a-segment',
  segmentOffset: 0,
  byteLength: 12_000,
  metadataLength: 2000,
  receivedAt: '2026-01-01T00:00:00Z',
  committedAt: null,
  damagedAt: null,
}

export const storedBytes = Buffer.alloc(instance.byteLength, 'x')
