/**
 * Whether a client takes UTF-8, by Accept-Charset or the parameter charset. (PS3.18 8.3.2, 8.4.2; QI-P15)
 *
 * @param header Missing or blank takes everything.
 */
export function takesUTF8(header: string | undefined): boolean {
  if (header === undefined || header.trim() === '') return true
  const qualities = new Map(
    header.split(',').map((entry) => {
      const [name = '', ...parameters] = entry.split(';').map((part) => part.trim().toLowerCase())
      const q = parameters.find((parameter) => parameter.startsWith('q='))
      return [name, Number(q?.slice(2) ?? 1)]
    }),
  )
  return (qualities.get('utf-8') ?? qualities.get('utf8') ?? qualities.get('*') ?? 0) > 0
}
