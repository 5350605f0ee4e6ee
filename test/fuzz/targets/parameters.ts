import { searchAttributes } from '../../../db/search-attributes.ts'
import { isUID } from '../../../server/dicom/uid.ts'
import { parseParameters } from '../../../server/qido/parameters.ts'
import { frameListOf, resourceOf } from '../../../server/wado/paths.ts'
import {
  renderedParameters,
  thumbnailParameters,
} from '../../../server/wado/rendered-parameters.ts'
import type { Target } from '../target.ts'
import { text, unlessRefused } from './refused.ts'

const hostile = [
  '%00',
  '%ED%A0%80',
  '\ud800',
  "'",
  '"',
  '\\',
  '%',
  '--',
  ';',
  '*',
  '?',
  '**',
  '%2C',
]

/** The parameters of a search: limited lists, and no refusal that is none. */
export function qido(): Target {
  return {
    maxBytes: 16 * 1024,
    seeds: [
      'PatientName=DOE*&fuzzymatching=true&limit=10&offset=3',
      'StudyDate=20240101-20240131&StudyTime=1015-&TimezoneOffsetFromUTC=%2B0100',
      'StudyInstanceUID=1.2.3,1.2.4%5C1.2.5&includefield=all',
      'ModalitiesInStudy=CT,MR&multiplevaluematching=true&emptyvaluematching=true&PatientID=""',
      '00100020=P1&includefield=00081030,StudyDescription&includefield=RequestAttributesSequence.ScheduledProcedureStepID',
      'NumberOfStudyRelatedInstances=%2B012&InstanceNumber=1&SeriesNumber=-3',
      'RequestAttributesSequence.RequestedProcedureID=a&0040027500400009=b',
      'accept=application/dicom%2Bjson&charset=utf-8&SpecificCharacterSet=x&Foo=1',
    ].map(text),
    tokens: [
      ...searchAttributes.flatMap(({ keyword, tag }) => [`&${keyword}=`, `&${tag}=`]),
      ...['&includefield=', '&limit=', '&offset=', '&fuzzymatching=true', 'true', 'false', 'all'],
      ...['.', ',', '=', '&', '-', '99999999999999999999', '20240229', '235960.999999'],
      ...['constructor', '__proto__', 'toString', 'hasOwnProperty'],
      ...hostile,
    ],
    run(input) {
      const query = new URLSearchParams(input.toString())
      for (const level of ['study', 'series', 'instance'] as const) {
        const parsed = unlessRefused(() => parseParameters(level, query))
        if (parsed === undefined) continue
        const { limit, offset, fields, warnings } = parsed
        const isBounded = limit <= 10_000 && Number.isSafeInteger(offset) && fields.length <= 201
        if (!isBounded) throw new Error('A search without bounds')
        if (warnings.some((one) => /[^ -~]|"/.test(one))) throw new Error('A warning is no header')
      }
    },
  }
}

/** Windows, viewports, frame lists, paths. What is let through can be handed to a thread. */
export function rendered(): Target {
  return {
    maxBytes: 4096,
    seeds: [
      'window=40,400,linear&quality=90&viewport=512,512',
      'viewport=10,20,0,0,5,5&window=-1.5e3,.5,sigmoid&annotation=patient,technique&iccprofile=srgb',
      'viewport=1,1,,,,&window=0,1,linear-exact',
      'list=1,2,3&study=1.2.3&series=1.2.4&instance=1.2.5',
    ].map(text),
    tokens: [
      ...[
        'window=',
        '&viewport=',
        '&quality=',
        '&list=',
        ',',
        '.',
        '-',
        '+',
        'e',
        'e-99',
        'e99',
        '0',
      ],
      ...[
        'linear',
        'sigmoid',
        'constructor',
        '__proto__',
        'NaN',
        'Infinity',
        '8192',
        '8193',
        '1e9',
      ],
      ...hostile,
    ],
    run(input) {
      const query = Object.fromEntries(new URLSearchParams(input.toString()))
      for (const read of [renderedParameters, thumbnailParameters]) {
        const parsed = unlessRefused(() => read(query))
        if (parsed === undefined) continue
        structuredClone(parsed)
        const numbers = [
          parsed.quality,
          ...Object.values(parsed.window ?? {}),
          parsed.viewport?.width ?? 1,
        ]
        const isSane = numbers.every((one) => typeof one === 'string' || Number.isFinite(one))
        if (!isSane) throw new Error('A parameter that is no number')
      }
      const frames = unlessRefused(() => frameListOf(query.list ?? ''))
      if (frames?.some((number, index) => number <= (frames[index - 1] ?? 0))) {
        throw new Error('Frames out of order')
      }
      const { study = '', series = '' } = query
      const path = unlessRefused(() => resourceOf({ study, series }))
      if (path !== undefined && !(isUID(study) && /^[0-9.]+$/.test(study + series))) {
        throw new Error('A path that is no UID')
      }
    },
  }
}
