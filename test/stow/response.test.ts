import { describe, expect, test } from 'vitest'
import type { TransferOutcome } from '../../server/intake/outcome.ts'
import { encode, responseModule } from '../../server/stow/response.ts'

const studiesURL = 'http://x/dicom-web/studies'

function outcomeOf(storedCount: number, refused: TransferOutcome['refused'] = []): TransferOutcome {
  const stored = Array.from({ length: storedCount }, (_, position) => ({
    position,
    studyInstanceUID: '1.2',
    seriesInstanceUID: '1.2.3',
    sopInstanceUID: `1.2.3.${position}`,
    sopClassUID: '1.2.840.10008.5.1.4.1.1.2',
    duplicate: false,
  }))
  return { transferID: 't', state: 'committed', stored, refused }
}

function json(outcome: TransferOutcome): unknown {
  return JSON.parse([...encode(responseModule(outcome, studiesURL), 'json').pieces].join(''))
}

describe('Store Instances Response Module (PS3.18 Table I.1-1)', () => {
  test('names what was stored, what was refused, and what could not be named', () => {
    const refused = [
      {
        position: 1,
        failureReason: 0xa900,
        sopClassUID: '1.2.840',
        sopInstanceUID: '1.9',
        detail: '',
      },
      { position: 2, failureReason: 0xc000, detail: '' },
    ]
    expect(json(outcomeOf(1, refused))).toEqual({
      '00081190': { vr: 'UR', Value: [`${studiesURL}/1.2`] },
      '00081198': {
        vr: 'SQ',
        Value: [
          {
            '00081150': { vr: 'UI', Value: ['1.2.840'] },
            '00081155': { vr: 'UI', Value: ['1.9'] },
            '00081197': { vr: 'US', Value: [0xa900] },
          },
        ],
      },
      '00081199': {
        vr: 'SQ',
        Value: [
          {
            '00081150': { vr: 'UI', Value: ['1.2.840.10008.5.1.4.1.1.2'] },
            '00081155': { vr: 'UI', Value: ['1.2.3.0'] },
            '00081190': { vr: 'UR', Value: [`${studiesURL}/1.2/series/1.2.3/instances/1.2.3.0`] },
          },
        ],
      },
      '0008119A': { vr: 'SQ', Value: [{ '00081197': { vr: 'US', Value: [0xc000] } }] },
    })
  })

  test('leaves out sequences without an item', () => {
    expect(json(outcomeOf(0))).toEqual({ '00081190': { vr: 'UR' } })
  })

  test('comes in pieces of one instance, so that 100,000 are never in memory at once', () => {
    const pieces = [...encode(responseModule(outcomeOf(100), studiesURL), 'json').pieces]
    expect(pieces).toHaveLength(103)
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(500)
  })
})
