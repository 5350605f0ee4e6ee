import { isName, isRole, ROLES, type Role } from '../http/identity.ts'
import { UsageError } from './command.ts'

/** @param text `sender`, or several with commas. @throws {UsageError} */
export function parseRoles(text: string): Role[] {
  const names = text.split(',').map((name) => name.trim())
  if (!names.every(isRole)) {
    throw new UsageError(
      `Cannot give the role "${text}": write one of ${ROLES.join(', ')}, or several with commas`,
    )
  }
  return [...new Set(names)]
}

/** @throws {UsageError} */
export function checkName(name: string): string {
  if (!isName(name)) {
    throw new UsageError(
      'Cannot take this name: write up to 64 letters, digits, and . _ - @, with a letter or digit first',
    )
  }
  return name
}
