/** dcmjs ships no types; only its table of the data dictionary is used here. */
declare module 'dcmjs/dictionary' {
  export const dictionary: Record<
    string,
    { tag: string; vr: string; name: string; vm: string; version?: string }
  >
}

/** pako ships no types; only its inflater is used here. */
declare module 'pako' {
  export class Inflate {
    constructor(options: { raw: boolean; chunkSize: number })
    err: number
    ended: boolean
    strm: { avail_in: number }
    onData: (window: Uint8Array) => void
    push(bytes: Uint8Array, isLast: boolean): boolean
  }
}
