/**
 * One line of a CSV file (RFC 4180). A field that a spreadsheet would take for a formula begins with an apostrophe; what is null
 * or undefined is empty.
 */
export function csvLine(fields: readonly unknown[]): string {
  return `${fields.map(field).join(',')}\r\n`
}

function field(value: unknown): string {
  const text = String(value ?? '')
  const plain = /^[=+\-@\t]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain
}
