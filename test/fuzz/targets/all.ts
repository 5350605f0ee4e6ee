import type { MakeTarget } from '../target.ts'
import { bodies } from './bodies.ts'
import { form } from './form.ts'
import { headBig, headDeflated, headExplicit, headImplicit } from './head.ts'
import { headers } from './headers.ts'
import { http } from './http.ts'
import { metadataJSON, metadataXML } from './metadata.ts'
import { multipart } from './multipart.ts'
import { qido, rendered } from './parameters.ts'
import { codecs, rendering } from './pixels.ts'

/** All that reads what strangers send. */
export const targets: Record<string, MakeTarget> = {
  multipart,
  'head-explicit': headExplicit,
  'head-implicit': headImplicit,
  'head-big-endian': headBig,
  'head-deflated': headDeflated,
  headers,
  qido,
  rendered,
  'metadata-json': metadataJSON,
  'metadata-xml': metadataXML,
  bodies,
  form,
  rendering,
  codecs,
  http,
}
