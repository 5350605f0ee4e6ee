export interface ReceivedPart {
  headers: Record<string, string>
  bytes: Buffer
}

/** The parts of a multipart answer; throws unless it ends with its closing delimiter. */
export function partsOf(contentType: string | null, body: Buffer): ReceivedPart[] {
  const boundary = /boundary="?([^";]+)"?/.exec(contentType ?? '')?.[1]
  if (boundary === undefined) throw new SyntaxError(`no boundary in ${contentType}`)
  const delimiter = Buffer.from(`\r\n--${boundary}`)
  const text = Buffer.concat([Buffer.from('\r\n'), body])
  const parts: ReceivedPart[] = []
  let at = text.indexOf(delimiter) + delimiter.length
  while (text.subarray(at, at + 2).toString() === '\r\n') {
    const headersEnd = text.indexOf('\r\n\r\n', at)
    const end = text.indexOf(delimiter, headersEnd + 2)
    if (end === -1) throw new SyntaxError('a part does not end')
    const headers = text.toString('latin1', at + 2, headersEnd).split('\r\n')
    parts.push({
      headers: Object.fromEntries(
        headers.map((line) => [
          line.slice(0, line.indexOf(':')).toLowerCase(),
          line.slice(line.indexOf(':') + 1).trim(),
        ]),
      ),
      bytes: text.subarray(headersEnd + 4, end),
    })
    at = end + delimiter.length
  }
  if (text.subarray(at, at + 2).toString() !== '--') throw new SyntaxError('no closing delimiter')
  return parts
}
