import type { ImagePixel } from './image-pixel.ts'
import type { PictureType, Rendering } from './rendering.ts'

/** What a codec worker can do. `bytes` are moved to it, and its answer's bytes back. */
export type Job = DecodeJob | EncodeJob | RenderJob

/** Turns the code stream of a frame into pixels. */
export interface DecodeJob {
  kind: 'decode'
  image: ImagePixel
  transferSyntaxUID: string
  bytes: Uint8Array
}

/** Turns the pixels of a frame into a code stream, without loss. */
export interface EncodeJob {
  kind: 'encode'
  image: ImagePixel
  transferSyntaxUID: string
  bytes: Uint8Array
}

/** Turns a frame, compressed or not, into a picture for eyes. */
export interface RenderJob {
  kind: 'render'
  image: ImagePixel
  transferSyntaxUID: string
  bytes: Uint8Array
  rendering: Rendering
  type: PictureType
  /** 1 to 100, of JPEG. */
  quality: number
  /** How long a picture of several is shown. */
  delayMs: number
}

export interface JobOutcome {
  bytes: Uint8Array
  /** What the bytes are, where decoding changed it: colour space and planes. */
  image: ImagePixel
}

export type JobAnswer = (JobOutcome | { problem: string }) & {
  /** The worker is to be ended. */
  isSpent: boolean
}

/** What a worker is told at its start. */
export interface WorkerData {
  /** What its codecs may take. */
  memoryBytes: number
}
