import { BlockList, isIP, isIPv6 } from 'node:net'
import { isAbsolute, resolve } from 'node:path'

/** A value that a setting does not take; the message completes "STOWAGE_X: ..." and says what to write. */
export class ShapeError extends Error {
  override name = 'ShapeError'
}

/** Reads the text of a setting. */
export type Shape<T> = { name: string; parse(text: string): T }

export function wholeNumber(lowest: number, highest: number): Shape<number> {
  return {
    name: `${lowest} to ${highest}`,
    parse(text) {
      const value = Number(text)
      if (!/^\d+$/.test(text) || value < lowest || value > highest) {
        throw new ShapeError(
          `write a whole number from ${lowest} to ${highest}, not ${quote(text)}`,
        )
      }
      return value
    },
  }
}

/** Seconds for people, milliseconds for code. */
export function seconds(lowest: number, highest = 31_536_000): Shape<number> {
  return {
    name: 'seconds',
    parse(text) {
      const value = Number(text)
      if (!/^\d+(\.\d+)?$/.test(text) || value < lowest || value > highest) {
        throw new ShapeError(
          `write a number of seconds from ${lowest} to ${highest}, not ${quote(text)}`,
        )
      }
      return Math.round(value * 1000)
    },
  }
}

/** Days for people, milliseconds for code. */
export const days: Shape<number> = {
  name: 'days',
  parse(text) {
    const value = Number(text)
    if (!/^\d+(\.\d+)?$/.test(text) || value > 36_500) {
      throw new ShapeError(`write a number of days from 0 to 36500, not ${quote(text)}`)
    }
    return Math.round(value * 86_400_000)
  },
}

const UNITS: Record<string, number> = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 }

export function byteCount(lowest: number): Shape<number> {
  return {
    name: 'bytes, KiB, MiB, GiB, TiB',
    parse(text) {
      const [, digits, unit] = /^(\d+(?:\.\d+)?) ?(KiB|MiB|GiB|TiB)?$/.exec(text) ?? []
      const value = Math.round(Number(digits) * (unit ? (UNITS[unit] as number) : 1))
      if (digits === undefined || !Number.isSafeInteger(value) || value < lowest) {
        throw new ShapeError(
          `write a number of bytes from ${lowest} on, like 1073741824 or 1GiB, not ${quote(text)}`,
        )
      }
      return value
    },
  }
}

export function oneOf<const T extends readonly string[]>(...choices: T): Shape<T[number]> {
  return {
    name: choices.join(', '),
    parse(text) {
      if (!choices.includes(text)) {
        throw new ShapeError(`write one of ${choices.join(', ')}, not ${quote(text)}`)
      }
      return text
    },
  }
}

export const hostname: Shape<string> = {
  name: 'address',
  parse(text) {
    if (isIP(text) === 0 && !/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(text)) {
      throw new ShapeError(`write an address or a host name without a port, not ${quote(text)}`)
    }
    return text
  },
}

/** Host names in lower case, without ports. */
export const hostNames: Shape<string[]> = {
  name: 'names',
  parse: (text) => text.split(',').map((name) => hostname.parse(name.trim()).toLowerCase()),
}

export const folder: Shape<string> = {
  name: 'folder',
  parse(text) {
    if (text.includes('\0')) throw new ShapeError('write the path of a folder')
    return isAbsolute(text) ? text : resolve(text)
  },
}

export const file: Shape<string> = { ...folder, name: 'file' }

export const plainText: Shape<string> = { name: 'text', parse: (text) => text }

/** Kept as it is written: `iss` must be the same, to the last slash. Its keys decide who may come in. */
export const issuerURL: Shape<string> = {
  name: 'URL',
  parse(text) {
    const url = URL.canParse(text) ? new URL(text) : undefined
    const isLocal = url !== undefined && /^(localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname)
    if (!url || !(url.protocol === 'https:' || (url.protocol === 'http:' && isLocal))) {
      throw new ShapeError(
        'write the https URL of the provider, like https://id.example.org/realms/main',
      )
    }
    return text
  },
}

export const origin: Shape<string> = {
  name: 'URL',
  parse(text) {
    const url = URL.canParse(text) ? new URL(text) : undefined
    if (
      !url ||
      !/^https?:$/.test(url.protocol) ||
      url.search + url.hash + url.username + url.password !== ''
    ) {
      throw new ShapeError('write the URL that clients use, like https://pacs.example.org')
    }
    return `${url.origin}${url.pathname}`.replace(/\/+$/, '')
  },
}

/** An address of a page with a place for a Study Instance UID. */
export const viewerTemplate: Shape<string> = {
  name: 'URL',
  parse(text) {
    const sample = text.replaceAll('{StudyInstanceUID}', '1.2.3')
    const url = URL.canParse(sample) ? new URL(sample) : undefined
    if (!url || !/^https?:$/.test(url.protocol) || sample === text) {
      throw new ShapeError(
        'write a URL like https://viewer.example.org/viewer?StudyInstanceUIDs={StudyInstanceUID}',
      )
    }
    return text
  },
}

export const postgresURL: Shape<string> = {
  name: 'URL',
  parse(text) {
    // Not echoed: it may hold a password. Several hosts (host1,host2) are no URL, so the scheme is all we check.
    if (!/^postgres(ql)?:\/\/[^\s]+$/.test(text)) {
      throw new ShapeError(
        'write a URL like postgresql://user:password@host:5432/database (its value is not shown here)',
      )
    }
    return text
  },
}

/** The base of a DICOMweb service, without a slash at its end. */
export const serviceURL: Shape<string> = {
  name: 'URL',
  parse(text) {
    const url = URL.canParse(text) ? new URL(text) : undefined
    if (url === undefined || !/^https?:$/.test(url.protocol) || url.search + url.hash !== '') {
      throw new ShapeError(
        `write the base of a DICOMweb service, like https://pacs.example/dicom-web, not ${quote(text)}`,
      )
    }
    if (url.username + url.password !== '') {
      throw new ShapeError('write it without user and password; there is a setting for a token')
    }
    return url.href.replace(/\/+$/, '')
  },
}

/** A secret: never shown. */
export const bearerToken: Shape<string> = {
  name: 'token',
  parse(text) {
    // RFC 6750 2.1
    if (/^[\w.~+/-]+=*$/.test(text)) return text
    throw new ShapeError('write a bearer token: letters, digits and -._~+/ (it is not shown here)')
  },
}

/** Whose `Forwarded` and `X-Forwarded-*` are believed. */
export type ProxyTrust = (address: string | undefined) => boolean

export const proxyTrust: Shape<ProxyTrust> = {
  name: '0, 1, addresses',
  parse(text) {
    if (text === '0') return () => false
    if (text === '1') return () => true
    const list = new BlockList()
    for (const entry of text.split(',').map((part) => part.trim())) {
      const [address = '', bits] = entry.split('/')
      const family = isIPv6(address) ? 'ipv6' : 'ipv4'
      const longest = family === 'ipv6' ? 128 : 32
      const isPrefix = bits === undefined || (/^\d+$/.test(bits) && Number(bits) <= longest)
      if (isIP(address) === 0 || !isPrefix) {
        throw new ShapeError(
          `write 0, 1, or the addresses of your proxies like 10.0.0.7,192.168.0.0/16, not ${quote(entry)}`,
        )
      }
      list.addSubnet(address, bits === undefined ? longest : Number(bits), family)
    }
    return (address) => address !== undefined && matches(list, address)
  },
}

// A server that listens on :: sees an IPv4 client as ::ffff:10.0.0.7.
function matches(list: BlockList, address: string): boolean {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
  return isIP(plain) !== 0 && list.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4')
}

function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}...` : text)
}
