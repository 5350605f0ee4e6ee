/** Colour by plane (RRGGBB) as colour by pixel (RGBRGB), for samples of any number of bytes (PS3.3 C.7.6.3.1.3). */
export function byPixel(planes: Uint8Array, samplesPerPixel: number, sampleBytes = 1): Uint8Array {
  const planeBytes = planes.length / samplesPerPixel
  const pixels = new Uint8Array(planes.length)
  let to = 0
  for (let at = 0; at < planeBytes; at += sampleBytes) {
    for (let sample = 0; sample < samplesPerPixel; sample++) {
      const from = sample * planeBytes + at
      for (let byte = 0; byte < sampleBytes; byte++) pixels[to++] = planes[from + byte] as number
    }
  }
  return pixels
}
