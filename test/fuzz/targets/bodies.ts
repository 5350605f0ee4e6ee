import { Buffer } from 'node:buffer'
import { readRequest as readCommitment } from '../../../server/commitment/request.ts'
import { readDeclaration } from '../../../server/completeness/request.ts'
import { readDeletionRequest } from '../../../server/deletion/request.ts'
import { readJSON } from '../../../server/http/read-json.ts'
import { readRequest as readWebhook } from '../../../server/webhooks/request.ts'
import type { Target } from '../target.ts'
import { rethrowFault, text, unlessRefused } from './refused.ts'

const limits = { requestBytes: 64 * 1024, inflateRatio: 100, idleMs: 10_000 }
const ref = (uid: string) =>
  `{"00081150":{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.2"]},"00081155":{"vr":"UI","Value":["${uid}"]}}`

/** The bodies of commitment requests, evidence, deletions and webhooks. */
export function bodies(): Target {
  return {
    maxBytes: 32 * 1024,
    seeds: [
      `{"00081199":{"vr":"SQ","Value":[${ref('1.2.3')},${ref('1.2.4')}]}}`,
      `{"00081110":{"vr":"SQ","Value":[{"0020000D":{"vr":"UI","Value":["1.2"]},"00081115":{"vr":"SQ","Value":[{"0020000E":{"vr":"UI","Value":["1.3"]},"00081112":{"vr":"SQ","Value":[{"00081150":{"vr":"UI","Value":["1.4"]},"0008114A":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.5"]}}]}}]}}]}}]}}`,
      '<NativeDicomModel><DicomAttribute tag="00081199" vr="SQ"><Item number="1"><DicomAttribute tag="00081155" vr="UI"><Value number="1">1.2.3</Value></DicomAttribute></Item></DicomAttribute></NativeDicomModel>',
      '{"instanceCount":240}',
      '{"sopInstanceUIDs":["1.2.3","1.2.4"]}',
      '{"series":[{"seriesInstanceUID":"1.2","instanceCount":24},{"seriesInstanceUID":"1.3","sopInstanceUIDs":["1.2.9"]}]}',
      '{"reason":"wrong patient","force":true,"allowResend":false}',
      '{"url":"https://hook.invalid/x","types":["stable","stored"],"levels":["study"],"paused":true,"since":7}',
    ].map(text),
    tokens: [
      ...[
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '"',
        '\\u0000',
        '\\ud800',
        'null',
        'true',
        '-1',
        '1e999',
        '2147483648',
      ],
      ...[
        '"__proto__":',
        '"constructor":',
        '"toString"',
        '"instanceCount":',
        '"series":[',
        '"reason":',
      ],
      ...[
        '"url":"http://127.0.0.1"',
        '"url":"http://[::ffff:7f00:1]"',
        'http://0x7f.1',
        '"types":',
        '"levels":null',
      ],
      ...[
        '"00081199":{"vr":"SQ","Value":[',
        '"Value":[',
        '"vr":"UI"',
        '1.2.3',
        '          ',
        '\0\0\0\0',
        '.0',
      ],
      ...['[[[[[[[[[[', '{"a":{"a":{"a":'],
    ],
    async run(input) {
      for (const model of ['json', 'xml'] as const)
        unlessRefused(() => readCommitment(input, model))
      const request = () => new Request('http://a/', { method: 'POST', body: Buffer.from(input) })
      const body = await readJSON(request(), limits)
      unlessRefused(() => readDeclaration(body))
      const webhook = unlessRefused(() => readWebhook(body, { isPrivateAllowed: false }, 'Cannot'))
      if (webhook?.url !== undefined) new URL(webhook.url)
      await readDeletionRequest(request()).catch(rethrowFault)
      if (Object.getOwnPropertyNames(Object.prototype).length !== prototypeNames) {
        throw new Error('The prototype of all objects was changed')
      }
    },
  }
}

const prototypeNames = Object.getOwnPropertyNames(Object.prototype).length
