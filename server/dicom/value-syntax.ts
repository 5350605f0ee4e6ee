/** What a value is held against (PS3.5 6.2; VA-7, VA-8). */
export type Syntax = 'date' | 'time' | 'integer' | 'CS' | 'SH' | 'LO' | 'PN'

/**
 * Says what is wrong with a value that was decoded and freed of padding; undefined when nothing is.
 *
 * The sentence goes on after a keyword and never holds the value: `is not a date`.
 */
export function fault(syntax: Syntax, text: string): string | undefined {
  switch (syntax) {
    case 'date':
      return isDate(text) ? undefined : 'is not a date'
    case 'time':
      return timePattern.test(text) ? undefined : 'is not a time'
    case 'integer':
      return isInteger(text) ? undefined : 'is not an integer'
    case 'CS':
      return text.split('\\').some((value) => !codePattern.test(value.trim()))
        ? 'is not a code string'
        : undefined
    case 'PN':
      return text.split(/[\\=]/).some((group) => group.length > 64)
        ? 'has a component group of more than 64 characters'
        : undefined
    default:
      return longer(text, syntax === 'SH' ? 16 : 64)
  }
}

const timePattern = /^(?:[01]\d|2[0-3])(?:[0-5]\d(?:(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?$/
const codePattern = /^[A-Z0-9 _]{0,16}$/

/** Eight digits that are a day of the calendar. */
function isDate(text: string): boolean {
  if (!/^\d{8}$/.test(text)) return false
  const year = Number(text.slice(0, 4))
  const month = Number(text.slice(4, 6))
  const day = Number(text.slice(6))
  if (month < 1 || month > 12 || day < 1) return false
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  return day <= (month === 2 && leap ? 29 : (monthDays[month - 1] ?? 0))
}

const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** IS: up to 12 characters within 32 bits. */
function isInteger(text: string): boolean {
  return /^[+-]?\d{1,12}$/.test(text) && text.length <= 12 && Number(text) === (Number(text) | 0)
}

function longer(text: string, limit: number): string | undefined {
  return text.split('\\').some((value) => value.length > limit)
    ? `has more than ${limit} characters`
    : undefined
}
