import { parseModel } from '../../../server/commitment/request.ts'
import { baseURLOf, clientAddressOf } from '../../../server/http/base-url.ts'
import { DigestCheck } from '../../../server/http/digest.ts'
import { takesUTF8 } from '../../../server/http/negotiation.ts'
import { readSessionCookie } from '../../../server/http/session-cookie.ts'
import { negotiate, parseAccept } from '../../../server/multipart/accept.ts'
import { answerTypes } from '../../../server/qido/answer.ts'
import {
  parseAnswerType,
  parseDeclaration,
  parseHandling,
  parsePayload,
} from '../../../server/stow/request.ts'
import type { Target } from '../target.ts'
import { headerValue, text, unlessRefused } from './refused.ts'

const policy = { baseURL: undefined, isTrustedProxy: () => true }

/** Accept and the other headers that are read: none throws but a refusal. */
export function headers(): Target {
  return {
    maxBytes: 16 * 1024,
    seeds: [
      'application/dicom+json, application/dicom+xml;q=0.5, */*;q=0.1',
      'multipart/related; type="application/dicom"; transfer-syntax=*; boundary="a b"',
      'multipart/related; type="application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90"; q=0.7',
      'image/jpeg, image/*;q=.5; transfer-syntax=1.2',
      'multipart/related;type=application/dicom+json;start="<1>";boundary=x',
      'application/dicom+json;charset=utf-8',
      'handling=lenient; wait=10, respond-async',
      'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:, sha-512=::',
      'for=192.0.2.43;proto=https;host="pacs.example:8443", for="[2001:db8::1]:99"',
      '192.0.2.1, [2001:db8::1]:80, 10.0.0.1',
      'a=b; __Host-stowage=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; stowage_session=x',
      '240',
    ].map(text),
    tokens: [
      ...['; q=', 'q=1.000', ', ', ';', '"', '\\', '=', '*/*', 'a/b', 'application/dicom', 'type='],
      ...['multipart/related', 'transfer-syntax=*', 'charset=', 'boundary=', 'utf-8', 'handling='],
      ...['sha-256=:', ':', 'a-', 'for=', 'host=', 'proto=https', '/', ' ', '\t', '[', ']', '0'],
      ...['constructor', '__proto__'],
    ],
    run(input) {
      const value = headerValue(input)
      const entries = parseAccept(value)
      negotiate(entries, answerTypes)
      takesUTF8(value)
      unlessRefused(() => parseAnswerType(value))
      unlessRefused(() => parsePayload(value))
      unlessRefused(() => parseModel(value))
      parseHandling(value, 'strict')
      unlessRefused(() => new DigestCheck('Content-Digest', value).verify())
      const all = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-prefix']
      for (const name of [...all, 'cookie', 'study-instance-count']) {
        const given = new Headers({ [name]: value })
        const url = baseURLOf({ url: 'http://a/', headers: given } as Request, '::1', policy)
        if (!URL.canParse(url)) throw new Error('The base URL is none')
        clientAddressOf(given, '::1', policy)
        readSessionCookie(given, true)
        unlessRefused(() => parseDeclaration(given, '1.2.3'))
      }
    },
  }
}
