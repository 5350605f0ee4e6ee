import { hostname } from 'node:os'
import { hasCredentials } from '../../db/access.ts'
import { isLoopback, refuseOpenDoor } from '../access/open-door.ts'
import { createApp } from '../app.ts'
import { type Config, type Environment, findUnknownSettings, readConfig } from '../config.ts'
import { ownURL } from '../demo/demonstration.ts'
import type { Listener, TlsFiles } from '../listen/host.ts'
import { createLog, describeError, type Log } from '../log.ts'
import { openDatabase } from '../postgres/open.ts'
import { startServices } from '../services.ts'
import { warmUp } from '../stow/warm-up.ts'
import type { Tracing } from '../trace.ts'
import { openTracing } from '../tracing/open.ts'
import {
  type CommandContext,
  EXIT_DONE,
  EXIT_FAILED,
  readVersion,
  refuseArguments,
} from './command.ts'

/** Milliseconds after those that requests under way have, in which everything else has to end. */
const CLOSING_MS = 10_000

/** Milliseconds within which a second signal counts as the same. */
const SAME_SIGNAL_MS = 1000

/** Milliseconds between looks at whether the parent is still there. */
const PARENT_MS = 500

/**
 * `stowage serve`: runs the server until it is told to stop (SIGINT, SIGTERM), or its data folder is lost.
 *
 * Told to stop, it takes no new request, lets those under way finish, then closes what it opened in reverse order.
 * Told twice, or where something hangs (a database that does not answer), it ends at once; nothing that was acknowledged is
 * lost by that.
 */
export async function run({ args, env, host }: CommandContext): Promise<number> {
  refuseArguments('serve', args)
  const config = readConfig(env)
  const log = await openLog(config)
  for (const sentence of findUnknownSettings(env)) log.warn(sentence)
  const ending = new Ending(log, config.stopMs + CLOSING_MS)
  if (env.npm_lifecycle_event !== undefined) ending.followParent()
  log.info('Stowage starts', { version: await readVersion(), runtime: host.name })
  await using database = await openDatabase(config, log, (error) => ending.fail(error))
  const { sql, direct } = database
  const isGuarded = config.oidcIssuer !== undefined || (await hasCredentials({ sql }))
  refuseOpenDoor(config.host, isGuarded, config.allowAnyone === 'on')
  if (!isGuarded) {
    log.warn(
      'No credentials are set up: whoever reaches this server may do everything; "stowage token create" and "stowage password" change that at once',
      { reachable: isLoopback(config.host) ? 'from this machine only' : `at ${config.host}` },
    )
  }
  await using tracing = await tracingOf(env, log)
  const services = await startServices({
    config,
    tracing,
    log,
    sql,
    direct,
    graceMs: config.stopMs,
  })
  services.audit.start(`${await readVersion()} on ${host.name}`)
  const tls = tlsOf(config)
  let listener: Listener | undefined
  const warming = new AbortController()
  try {
    listener = await host.listen(createApp(services).fetch, {
      hostname: config.host,
      port: config.port,
      tls,
      maxConnections: config.maxConnections,
      onRefused: (whose) => services.refusals.note({ scarce: 'connections', whose }),
      onFault: (error) => log.error('A request failed', { reason: describeError(error) }),
    })
    if (tls === undefined) services.demonstration.listensAt(ownURL(config.host, listener.port))
    log.info('Stowage is ready', { at: listener.url, database: database.url ?? 'DATABASE_URL' })
    if (config.warmUp === 'on') {
      warmUp(services, warming.signal).catch((error) => {
        log.warn('The warm-up failed; the first studies are received slower', {
          reason: describeError(error),
        })
      })
    }
    return await ending.reached
  } finally {
    warming.abort()
    // Together: the pages' streams never end by themselves, and it is the services that end them.
    await Promise.all([listener?.stop(config.stopMs + 1000), services[Symbol.asyncDispose]()])
    // After the last request.
    await services.audit.stop()
    log.info('Stowage stopped')
  }
}

async function openLog({ logLevel, logFormat }: Config): Promise<Log> {
  const isText = logFormat === 'text' || (logFormat === 'auto' && process.stderr.isTTY)
  if (isText) return createLog(logLevel)
  const { createJsonLog } = await import('../json-log.ts')
  return createJsonLog(logLevel, { server: process.pid })
}

async function tracingOf(env: Environment, log: Log): Promise<Tracing & AsyncDisposable> {
  const serverName = `${hostname()}:${process.pid}`
  const tracing = await openTracing(env, { version: await readVersion(), serverName, log })
  return { ...tracing, [Symbol.asyncDispose]: () => tracing.stop() }
}

function tlsOf({ tlsCertFile, tlsKeyFile }: Config): TlsFiles | undefined {
  return tlsCertFile === undefined || tlsKeyFile === undefined
    ? undefined
    : { certFile: tlsCertFile, keyFile: tlsKeyFile }
}

/** When and why the server ends. */
class Ending {
  readonly reached: Promise<number>
  #reach: (code: number) => void = () => {}
  #askedAt: number | undefined
  readonly #log: Log
  readonly #patienceMs: number

  /** @param patienceMs Between the first signal and the end, whatever hangs. */
  constructor(log: Log, patienceMs: number) {
    this.#log = log
    this.#patienceMs = patienceMs
    this.reached = new Promise((resolve) => {
      this.#reach = resolve
    })
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => this.#receive(signal))
    }
  }

  /**
   * Ends when the parent does. `npm start` puts a shell between itself and us; a SIGTERM to npm ends both, and
   * tells us nothing.
   */
  followParent(): void {
    const parent = process.ppid
    const timer = setInterval(() => {
      if (process.ppid === parent) return
      clearInterval(timer)
      if (this.#askedAt === undefined) this.#receive('SIGTERM')
    }, PARENT_MS).unref()
  }

  fail(error: Error): void {
    this.#log.error(error.message)
    this.#reach(EXIT_FAILED)
  }

  #receive(signal: NodeJS.Signals): void {
    if (this.#askedAt !== undefined) {
      // Ctrl-C under npm arrives twice at once: from the terminal, and from npm.
      if (Date.now() - this.#askedAt > SAME_SIGNAL_MS) process.exit(EXIT_FAILED)
      return
    }
    this.#askedAt = Date.now()
    this.#log.info('Stowage stops when the requests under way are done', { signal })
    setTimeout(() => {
      this.#log.error('Stowage ends although something still hangs; what was acknowledged is safe')
      process.exit(EXIT_FAILED)
    }, this.#patienceMs).unref()
    this.#reach(EXIT_DONE)
  }
}
