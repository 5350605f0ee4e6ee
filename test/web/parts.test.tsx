import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { transferStates } from '../../db/schema.ts'
import { studyStates } from '../../db/study-list.ts'
import { describeFailureReason } from '../../server/send/failure-reasons.ts'
import { dateText, personName } from '../../web/parts/dicom-text.ts'
import { durationText, Instant } from '../../web/parts/instant.tsx'
import { bytesText, countOf } from '../../web/parts/quantity.tsx'
import { Reason, reasonAdvice, reasonName } from '../../web/parts/reason.tsx'
import {
  type Sign,
  studySigns,
  TransferBadge,
  transferSigns,
  verdictSigns,
} from '../../web/parts/state-badge.tsx'
import { StudyRow } from '../../web/parts/study-row.tsx'
import { TransferRow } from '../../web/parts/transfer-row.tsx'
import { elementID } from '../../web/paths.ts'
import { textOf } from '../../web/respond.tsx'
import { aStudy, aTransfer, readable } from './render.ts'

describe('a PN for people (PS3.5 6.2.1)', () => {
  test.each([
    ['Doe^Jane', 'Doe, Jane'],
    ['Adams^John Robert^Quincy^Rev.^B.A. M.Div.', 'Adams, Rev. John Robert Quincy, B.A. M.Div.'],
    ['Doe', 'Doe'],
    ['^Jane', 'Jane'],
    ['Yamada^Tarou=山田^太郎=やまだ^たろう', 'Yamada, Tarou (山田, 太郎)'],
    ['=山田^太郎', '山田, 太郎'],
    ['^^^^', ''],
    ['', ''],
  ])('%s is %s', (value, name) => {
    expect(personName(value)).toBe(name)
  })
})

test.each([
  ['20240301', '2024-03-01'],
  ['2024.03.01', '2024-03-01'],
  ['', ''],
  ['March', 'March'],
  ['202403011', '202403011'],
])('the DA "%s" is shown as "%s"', (value, date) => {
  expect(dateText(value)).toBe(date)
})

test.each([
  [0, '0 bytes'],
  [1, '1 byte'],
  [999, '999 bytes'],
  [1000, '1.00 kB'],
  [61_200_000, '61.2 MB'],
  [999_499, '999 kB'],
  [999_500, '1.00 MB'],
  [99_960_000, '100 MB'],
  [2e12, '2.00 TB'],
  [5e18, '5000 PB'],
])('%d bytes are shown as "%s"', (byteLength, text) => {
  expect(bytesText(byteLength)).toBe(text)
})

test.each([
  [-5, 'under 0.1 s'],
  [420, '0.4 s'],
  [42_000, '42 s'],
  [59_600, '1 min 0 s'],
  [843_000, '14 min 3 s'],
  [7_500_000, '2 h 5 min'],
])('%d ms are shown as "%s"', (milliseconds, text) => {
  expect(durationText(milliseconds).replaceAll('\u00a0', ' ')).toBe(text)
})

test('counts are grouped, and have the right number', () => {
  expect([
    countOf(1, 'instance'),
    countOf(1204, 'instance'),
    countOf(0, 'study', 'studies'),
  ]).toEqual(['1 instance', '1,204 instances', '0 studies'])
})

test('an instant carries itself for machines', () => {
  const html = textOf(<Instant at={new Date('2026-03-01T12:34:56.789Z')} />)
  expect(html).toBe('<time datetime="2026-03-01T12:34:56.789Z">2026-03-01 12:34:56</time>')
})

test('an id of an element can stand in a selector', () => {
  expect(elementID('study', '1.2.840')).toBe('study-1-2-840')
})

test('what to do about a reason is about that reason', () => {
  expect(reasonAdvice(0xc122)).toBe(
    'Ask the sender to send it in a transfer syntax that is known here, such as Explicit VR Little Endian.',
  )
  expect(reasonAdvice(0xc000)).toContain('no DICOM file')
  expect(reasonAdvice(0x0111)).toBe(
    'Another file with the same SOP Instance UID is here, or came in the same request. Ask the sender why it sends two.',
  )
  // Rolled back: nothing is wrong with it.
  expect(reasonAdvice(0xc0ff)).not.toContain('broken')
  expect(describeFailureReason(0x0111)).toBe(
    '0x0111 (stored already, or twice in the request, with other content)',
  )
})

test('a reason is shown by its plain name and its code', () => {
  expect(readable(<Reason reason={0xa900} />)).toBe('Data Set does not match SOP Class (A900)')
  expect(readable(<Reason reason={0x0111} />)).toBe('Duplicate SOP Instance (0111)')
  expect([reasonName(0xa7ff), reasonName(0xc999), reasonName(0x0001)]).toEqual([
    'Out of resources',
    'Cannot understand',
    'Other reason',
  ])
})

describe('badges', () => {
  test('no two states share their icon, their word or their tone', () => {
    expect(Object.keys(transferSigns)).toEqual([...transferStates])
    expect(Object.keys(studySigns)).toEqual([...studyStates])
    for (const table of [transferSigns, studySigns, verdictSigns]) {
      const signs = Object.values(table) as Sign[]
      for (const member of ['icon', 'word', 'tone'] as const) {
        expect(new Set(signs.map((sign) => sign[member])).size).toBe(signs.length)
      }
    }
  })

  test.each(transferStates)('%s has its word, and an icon that exists', (state) => {
    const html = textOf(<TransferBadge state={state} />)
    expect(readable(<TransferBadge state={state} />).toLowerCase()).toBe(state)
    const icon = /icons\.svg#(\w+)/.exec(html)?.[1]
    expect(readFileSync('web/assets/icons.svg', 'utf8')).toContain(`id="${icon}"`)
  })
})

describe('the row of a transfer', () => {
  test.each([
    [{}, 'Committed STOW-RS from 10.0.0.7 gateway/2.1 12 12 stored 48.0 MB in 42 s'],
    [{ storedCount: 9, duplicateCount: 3 }, '9 stored, 3 here already'],
    [{ storedCount: 10, refusedCount: 2, warningCount: 1 }, '10 stored, 2 refused, 1 warning'],
    [
      { state: 'refused', storedCount: 0, reason: '1 instance was refused' },
      'Nothing of it is stored 1 instance was refused · 48.0 MB in 42 s',
    ],
    [
      { state: 'aborted', storedCount: 0, reason: 'The connection ended before the body did' },
      'Aborted STOW-RS from 10.0.0.7 gateway/2.1 12 Nothing of it is stored The connection ended',
    ],
    [{ state: 'expired', storedCount: 0 }, 'Expired'],
    [{ service: 'upload', sender: null }, 'Upload gateway/2.1'],
  ] as const)('says what became of %o', (changes, text) => {
    expect(readable(<TransferRow transfer={aTransfer(changes)} />)).toContain(text)
  })

  test('has a bar only where the sender said how much it sends', () => {
    const running = { state: 'receiving', endedAt: null } as const
    const announced = aTransfer({ ...running, announcedBytes: 96_000_000 })
    expect(readable(<TransferRow transfer={announced} />)).toContain('48.0 MB of 96.0 MB')
    expect(textOf(<TransferRow transfer={announced} />)).toContain(
      '<progress max="96000000" value="48000000"',
    )
    expect(textOf(<TransferRow transfer={aTransfer(running)} />)).not.toContain('<progress')
    expect(readable(<TransferRow transfer={aTransfer(running)} />)).toContain('48.0 MB received')
  })
})

describe('the row of a study', () => {
  test('shows patient, study and counts', () => {
    expect(readable(<StudyRow study={aStudy()} />)).toBe(
      'Stable since 2026-03-01 12:35:56 Doe, Jane P-1 · 1970-01-31 · F CT Thorax 2024-03-01 · CT, SR A-1 2 / 1,204 61.2 MB 1,204 received 2026-03-01 12:34:56',
    )
  })

  test('says what is missing instead of leaving a hole', () => {
    const bare = aStudy({
      patientName: null,
      patientID: null,
      patientBirthDate: null,
      patientSex: null,
      studyDescription: null,
      accessionNumber: null,
      studyDate: null,
      modalitiesInStudy: [],
    })
    expect(readable(<StudyRow study={bare} />)).toContain('No name No description – none 2 / 1,204')
  })

  test.each([
    ['receiving', null, 'Receiving on its way'],
    ['settling', new Date('2026-03-01T14:03:42Z'), 'Settling settles at 14:03:42'],
    ['reopened', new Date('2026-03-01T14:03:42Z'), 'Reopened settles at 14:03:42'],
  ] as const)('says of one that is %s when it settles', (state, settlesAt, text) => {
    expect(readable(<StudyRow study={aStudy({ state, settlesAt })} />)).toContain(text)
  })

  test('has a bar only where something is expected', () => {
    expect(textOf(<StudyRow study={aStudy()} />)).not.toContain('<progress')
    const partial = aStudy({ verdict: 'partial', instanceCount: 182, expectedInstanceCount: 240 })
    expect(readable(<StudyRow study={partial} />)).toContain('Partial 182 of 240')
    expect(textOf(<StudyRow study={partial} />)).toContain('<progress max="240" value="182"')
  })

  test('tells what is committed, damaged, refused and warned of', () => {
    const study = aStudy({
      committedInstanceCount: 1204,
      damagedInstanceCount: 1,
      refusalCount: 2,
      warningCount: 3,
    })
    // What was committed and is not whole any more has no seal.
    expect(readable(<StudyRow study={study} />)).toContain(
      '1,204 committed before 1 damaged 2 refused 3 warnings',
    )
    const whole = { ...study, damagedInstanceCount: 0 }
    expect(readable(<StudyRow study={whole} />)).toContain('Committed 2 refused')
  })

  test('escapes whatever a sender wrote', () => {
    const evil = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    const html = textOf(
      <StudyRow
        study={aStudy({
          patientName: evil,
          patientID: evil,
          patientBirthDate: evil,
          patientSex: evil,
          studyDescription: evil,
          studyDate: evil,
          accessionNumber: evil,
          modalitiesInStudy: [evil],
        })}
      />,
    )
    expect(html).toContain('&lt;script&gt;')
    expect(html).not.toMatch(/<script|<img/)
    const transfer = aTransfer({ sender: evil, senderProduct: evil, reason: evil })
    expect(textOf(<TransferRow transfer={transfer} />)).not.toMatch(/<script|<img/)
  })

  test('has no patient data in any address or id', () => {
    const html = textOf(<StudyRow study={aStudy({ studyInstanceUID: '1.2.3' })} />)
    expect([...html.matchAll(/(?:href|id)="([^"]*)"/g)].map(([, value]) => value)).toEqual([
      'study-1-2-3',
      'assets/icons.svg#tick',
      'studies/1.2.3',
    ])
  })
})
