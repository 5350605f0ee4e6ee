import type { SearchLevel } from '../../db/search-attributes.ts'

/**
 * The level of an attribute that stands at the root of an instance: whose property it is. (PS3.3 A.1.2)
 *
 * Group 0010 is the patient's, and the patient is told of with the study, as PS3.18 10.6.1.2.3 has no level for
 * him.
 */
export function levelOfAttribute(tag: string): SearchLevel {
  if (ofStudy.has(tag) || (tag.startsWith('0010') && tag !== '00102210')) return 'study'
  return ofSeries.has(tag) ? 'series' : 'instance'
}

/** Patient, General Study and Patient Study Modules, Clinical Trial Subject and Study (PS3.3 C.7.1, C.7.2). */
const ofStudy = tags(`
  0008: 0020 0030 0050 0051 0090 0092 0094 0096 009C 009D 1030 1032 1048 1049 1060 1062 1080 1084 1110 1120
  0012: 0010 0020 0021 0030 0031 0040 0042 0050 0051 0060 0062 0063 0064 0081 0082 0083
  0020: 000D 0010
  0032: 1030 1031 1032 1033 1034 1060 1064
  0038: 0010 0014 0060 0062 0064 0300 0500
  0040: 1012
`)

/** General Series, Clinical Trial Series, General Equipment and Frame of Reference Modules (C.7.3, C.7.4, C.7.5). */
const ofSeries = tags(`
  0008: 0021 0031 0060 0064 0070 0080 0081 0082 1010 1040 1041 103E 103F 1050 1052 1070 1072 1090 1111 1250
  0010: 2210
  0012: 0071 0072 0073
  0018: 0015 1000 1002 1003 1004 1008 100A 1020 1030 1050 1200 1201 5100
  0020: 000E 0011 0052 0060 1040
  0028: 0108 0109
  0040: 0241 0242 0243 0244 0245 0250 0251 0253 0254 0260 0275 0280 0555
`)

function tags(table: string): Set<string> {
  const found = new Set<string>()
  for (const line of table.trim().split('\n')) {
    const [group, elements] = line.trim().split(': ') as [string, string]
    for (const element of elements.split(' ')) found.add(group + element)
  }
  return found
}
