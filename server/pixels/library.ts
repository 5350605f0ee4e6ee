import { createRequire } from 'node:module'

/**
 * The codecs, WASM and all. By `require`: the package is one CommonJS bundle, and the names that its types promise
 * cannot be imported from it.
 */
export const { Context, log, NativeCodecs } = createRequire(import.meta.url)(
  'dcmjs-codecs',
) as typeof import('dcmjs-codecs')
