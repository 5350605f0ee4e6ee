import { Buffer } from 'node:buffer'

export const boundary = 'form-boundary'
export const formType = `multipart/form-data; boundary=${boundary}`

export type Entry =
  | { name: string; value: string }
  | { name: string; fileName: string; bytes: Uint8Array }

/** A form as a browser writes it, byte for byte. */
export function formBody(entries: Entry[]): Buffer {
  const pieces = entries.flatMap((entry) => {
    const disposition = `--${boundary}\r\nContent-Disposition: form-data; name="${entry.name}"`
    return 'value' in entry
      ? [Buffer.from(`${disposition}\r\n\r\n${entry.value}`), Buffer.from('\r\n')]
      : [
          Buffer.from(`${disposition}; filename="${entry.fileName}"\r\n`),
          Buffer.from('Content-Type: application/octet-stream\r\n\r\n'),
          entry.bytes,
          Buffer.from('\r\n'),
        ]
  })
  return Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)])
}

export function file(fileName: string, bytes: Uint8Array): Entry {
  return { name: 'files', fileName, bytes }
}

/** In pieces of this many bytes. */
export async function* piecesOf(body: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += pieceBytes) yield body.subarray(at, at + pieceBytes)
}
