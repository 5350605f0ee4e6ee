import { readForm } from '../../../server/upload/form-reader.ts'
import { file, formBody, formType, piecesOf } from '../../upload/form.ts'
import type { Target } from '../target.ts'
import { rethrowFault } from './refused.ts'

/** The form of the upload page. */
export function form(): Target {
  return {
    maxBytes: 16 * 1024,
    seeds: [
      formBody([file('a.dcm', Buffer.from('DICM')), file('../../b', Buffer.alloc(300))]),
      formBody([{ name: 'x', value: 'y' }, file('', Buffer.alloc(0))]),
    ],
    tokens: [
      ...[
        '--form-boundary\r\n',
        '\r\n--form-boundary--\r\n',
        '\r\n',
        '\r\n\r\n',
        '--',
        ': ',
        ';',
        '"',
      ],
      ...[
        'Content-Disposition: form-data; name="files"; filename="a"',
        "filename*=utf-8''%00",
        '\0',
      ],
      ...[
        'Content-Type: application/octet-stream\r\n',
        'Content-Transfer-Encoding: base64\r\n',
        '../',
      ],
    ],
    async run(input) {
      let received = 0
      try {
        for await (const part of readForm(piecesOf(input, 1 + (input.length % 97)), formType, {
          parts: 50,
        })) {
          if (part.kind === 'file') for await (const chunk of part.bytes) received += chunk.length
        }
      } catch (error) {
        rethrowFault(error)
      }
      if (received > input.length) throw new Error('More came out than went in')
    },
  }
}
