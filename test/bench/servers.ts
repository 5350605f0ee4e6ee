import { orthanc } from './orthanc.ts'
import { sink } from './sink-server.ts'
import { stowage } from './stowage.ts'

export const serverIDs = [
  'node',
  'bun',
  'deno',
  'discard',
  'onefile',
  'orthanc-a',
  'orthanc-b',
] as const
export type ServerID = (typeof serverIDs)[number]

/** The servers that are Stowage. */
export const stowageIDs = ['node', 'bun', 'deno'] as const satisfies ServerID[]

/** A kind of server that the benchmark can start as often as it needs. */
export interface ServerKind {
  title: string
  /** Why it cannot be measured on this machine; undefined when it can. */
  findObstacle(): Promise<string | undefined>
  /** For the report. */
  version(): Promise<string | undefined>
  /**
   * Starts one with an empty store in a folder that is there and empty, and waits until it takes studies.
   *
   * @param shared A folder for what all starts of a run have in common, such as a cluster fresh from initdb.
   */
  start(folder: string, shared: string): Promise<RunningServer>
}

/** Disposing ends it; its folder is the caller's to remove. */
export interface RunningServer extends AsyncDisposable {
  /** Where to post studies to. */
  studiesURL: string
  /** Its processes; what came from them counts too. */
  pids: number[]
  /** From the start of its process until it takes studies. */
  startMs: number
  /** Whether its answers list what was stored. */
  isConfirming: boolean
}

export const servers: Record<ServerID, ServerKind> = {
  node: stowage('node'),
  bun: stowage('bun'),
  deno: stowage('deno'),
  discard: sink('discard'),
  onefile: sink('onefile'),
  'orthanc-a': orthanc('sqlite'),
  'orthanc-b': orthanc('postgres'),
}
