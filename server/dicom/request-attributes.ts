import { Buffer } from 'node:buffer'
import type { RequestAttributes } from './instance.ts'

/** Items that are looked at; one for each procedure step that the series is of. */
const maximumItems = 100

interface Item {
  '00400009'?: { Value?: unknown[] }
  '00401001'?: { Value?: unknown[] }
}

let lastMember = Buffer.alloc(0)
let lastItems: readonly RequestAttributes[] = []

/**
 * Reads Request Attributes Sequence from its JSON. The files of a series say the same, so most need no parsing.
 *
 * @param member `"00400275":{"vr":"SQ","Value":[...]}`, which is not kept.
 * @returns Items that say something.
 */
export function readRequestAttributes(member: Uint8Array): readonly RequestAttributes[] {
  if (lastMember.equals(member)) return lastItems
  const { '00400275': sequence } = JSON.parse(`{${Buffer.from(member).toString()}}`) as {
    '00400275': { Value?: Item[] }
  }
  lastItems = (sequence.Value ?? [])
    .slice(0, maximumItems)
    .map(requestAttributesOf)
    .filter((item) => Object.keys(item).length > 0)
  lastMember = Buffer.from(member)
  return lastItems
}

function requestAttributesOf(item: Item): RequestAttributes {
  const scheduledProcedureStepID = firstText(item['00400009'])
  const requestedProcedureID = firstText(item['00401001'])
  return {
    ...(scheduledProcedureStepID === undefined
      ? {}
      : { ScheduledProcedureStepID: scheduledProcedureStepID }),
    ...(requestedProcedureID === undefined ? {} : { RequestedProcedureID: requestedProcedureID }),
  }
}

function firstText(attribute: { Value?: unknown[] } | undefined): string | undefined {
  const value = attribute?.Value?.[0]
  return typeof value === 'string' && value !== '' ? value : undefined
}
