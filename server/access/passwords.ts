import { Buffer } from 'node:buffer'
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'

/** Of OWASP's equal choices for scrypt the one that takes the least memory: 32 MiB, some 0.2 s of one core. */
const cost = { N: 2 ** 15, r: 8, p: 3 }
const keyBytes = 32
const saltBytes = 16

/** Passwords compared at once, and waiting: beyond that the server is busy. Each takes 32 MiB. */
const atOnce = 1
const waitingAtMost = 20

export const passwordLengths = { least: 12, most: 256 }

/** Too many people sign in at this moment, or somebody tries many passwords. */
export class SignInBusyError extends Error {
  override name = 'SignInBusyError'
}

/** What is kept of a password: `scrypt$N$r$p$salt$key`. */
export async function digestPassword(password: string): Promise<string> {
  const salt = randomBytes(saltBytes)
  const key = await derive(password, salt, cost, keyBytes)
  const { N, r, p } = cost
  return ['scrypt', N, r, p, salt.toString('base64url'), key.toString('base64url')].join('$')
}

/** Of no password: compared where there is no such user, so that the answer takes as long. */
const nobody = ['scrypt', cost.N, cost.r, cost.p, 'AAAAAAAAAAAAAAAAAAAAAA', 'A'.repeat(43)].join(
  '$',
)

/**
 * Whether a password is the one of a digest.
 *
 * @param digest Undefined: there is no such user. Takes as long as with one, and is false.
 * @throws {SignInBusyError}
 */
export async function isPassword(password: string, digest: string | undefined): Promise<boolean> {
  const [, N, r, p, salt = '', key = ''] = (digest ?? nobody).split('$')
  const kept = Buffer.from(key, 'base64url')
  const options = { N: Number(N), r: Number(r), p: Number(p) }
  const given = await inTurn(() =>
    derive(password, Buffer.from(salt, 'base64url'), options, kept.byteLength),
  )
  return timingSafeEqual(given, kept) && digest !== undefined
}

let running = 0
const waiting: (() => void)[] = []

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= atOnce) {
    if (waiting.length >= waitingAtMost) throw new SignInBusyError('Too many sign in at once')
    await new Promise<void>((resolve) => waiting.push(resolve))
  } else running++
  try {
    return await work()
  } finally {
    const next = waiting.shift()
    if (next === undefined) running--
    else next()
  }
}

function derive(
  password: string,
  salt: Uint8Array,
  options: { N: number; r: number; p: number },
  bytes: number,
): Promise<Buffer> {
  const maxmem = 2 * 128 * options.N * options.r
  return new Promise((resolve, reject) => {
    // NFKC: the same password from keyboards that compose letters differently.
    scrypt(password.normalize('NFKC'), salt, bytes, { ...options, maxmem }, (error, key) =>
      // Null, as Node has it, or undefined.
      error ? reject(error) : resolve(key),
    )
  })
}
