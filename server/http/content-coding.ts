/** Whether a client takes a content coding, by Accept-Encoding (RFC 9110 12.5.3). Without that field it is not used. */
export function takesCoding(field: string | null | undefined, coding: 'gzip' | 'deflate'): boolean {
  const qualities = new Map(
    (field ?? '').split(',').map((entry) => {
      const [name = '', ...parameters] = entry.split(';').map((part) => part.trim().toLowerCase())
      const q = parameters.find((parameter) => parameter.startsWith('q='))
      return [name, Number(q?.slice(2) ?? 1)]
    }),
  )
  return (qualities.get(coding) ?? qualities.get(`x-${coding}`) ?? qualities.get('*') ?? 0) > 0
}
