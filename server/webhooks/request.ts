import { isIP } from 'node:net'
import { type ChangeLevel, type ChangeType, changeLevels, changeTypes } from '../../db/schema.ts'
import { HttpProblem } from '../http/problem.ts'
import { isPublicAddress } from './addresses.ts'

/** What somebody says about a webhook; what is left out stays as it is. */
export interface WebhookRequest {
  url?: string
  types?: ChangeType[] | null
  levels?: ChangeLevel[] | null
  isPaused?: boolean
  since?: number
}

const urlLengthAtMost = 2000

/**
 * Reads `{"url", "types", "levels", "paused", "since"}`.
 *
 * @param action What cannot be done if it is wrong.
 * @throws {HttpProblem} 400, naming the member
 */
export function readRequest(
  body: unknown,
  policy: { isPrivateAllowed: boolean },
  action: string,
): WebhookRequest {
  const problem = (what: string) => new HttpProblem(400, `${action}: ${what}`)
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw problem('the body is no JSON object')
  }
  const request: WebhookRequest = {}
  for (const [name, value] of Object.entries(body)) {
    if (name === 'url') {
      const [url, wrong] = readURL(value, policy.isPrivateAllowed)
      if (url === undefined) throw problem(`"url" ${wrong}`)
      request.url = url
    } else if (name === 'types') {
      request.types = listOf(value, changeTypes, () => problem(notAList(name, changeTypes)))
    } else if (name === 'levels') {
      request.levels = listOf(value, changeLevels, () => problem(notAList(name, changeLevels)))
    } else if (name === 'paused') {
      if (typeof value !== 'boolean') throw problem('"paused" is neither true nor false')
      request.isPaused = value
    } else if (name === 'since') {
      if (!Number.isSafeInteger(value) || (value as number) < 0) {
        throw problem('"since" is no seq of a change, nor 0')
      }
      request.since = value as number
    } else {
      throw problem(
        `${JSON.stringify(name.slice(0, 40))} is none of url, types, levels, paused, since`,
      )
    }
  }
  return request
}

/** @returns the URL, or what is wrong with it. Names are looked up, and judged, when something is sent. */
function readURL(value: unknown, isPrivateAllowed: boolean): [string] | [undefined, string] {
  if (typeof value !== 'string' || !URL.canParse(value)) return [undefined, 'is no URL']
  const url = new URL(value)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    return [undefined, 'is neither http nor https']
  }
  if (url.href.length > urlLengthAtMost) {
    return [undefined, `is longer than ${urlLengthAtMost} characters`]
  }
  if (url.username + url.password + url.hash !== '') {
    return [undefined, 'has a user, a password or a fragment; the signature says who we are']
  }
  const address = url.hostname.replace(/^\[|\]$/g, '')
  const isPrivate =
    isIP(address) === 0 ? /(^|\.)localhost\.?$/.test(address) : !isPublicAddress(address)
  if (isPrivate && !isPrivateAllowed) {
    return [
      undefined,
      'is at a private address, which STOWAGE_WEBHOOK_PRIVATE_ADDRESSES=on would allow',
    ]
  }
  return [url.href]
}

/** `null` is all of them. */
function listOf<Name extends string>(
  value: unknown,
  known: readonly Name[],
  problem: () => HttpProblem,
): Name[] | null {
  if (value === null) return null
  if (!Array.isArray(value) || value.length === 0) throw problem()
  const found = known.filter((one) => value.includes(one))
  if (found.length !== new Set(value).size) throw problem()
  return found
}

function notAList(name: string, known: readonly string[]): string {
  return `"${name}" is neither null nor a list of some of ${known.join(', ')}`
}
