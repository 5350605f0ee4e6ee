import { createHash, randomBytes } from 'node:crypto'

const tokenPattern = /^stowage_[\w-]{43}$/

/** A new API token: 256 random bits. The prefix lets people and secret scanners see what it is. */
export function newToken(): string {
  return `stowage_${newSecret()}`
}

/** Whether a text can be one of our tokens, so that anything else costs no look into the database. */
export function looksLikeToken(text: string): boolean {
  return tokenPattern.test(text)
}

/** 256 random bits for a cookie. */
export function newSecret(): string {
  return randomBytes(32).toString('base64url')
}

/**
 * What is kept of a token, or of a session.
 *
 * Plain SHA-256: there are 2^256 to guess from, so nothing is won by making a guess slow, as it has to be for what
 * people choose; and every request pays it. Whoever reads the table cannot make a token of it.
 */
export function digestOf(secret: string): Uint8Array {
  return createHash('sha256').update(secret).digest()
}
