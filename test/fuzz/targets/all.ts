import type { MakeTarget } from '../target.ts'
import { headBig, headDeflated, headExplicit, headImplicit } from './head.ts'
import { multipart } from './multipart.ts'

/** All that reads what strangers send. */
export const targets: Record<string, MakeTarget> = {
  multipart,
  'head-explicit': headExplicit,
  'head-implicit': headImplicit,
  'head-big-endian': headBig,
  'head-deflated': headDeflated,
}
