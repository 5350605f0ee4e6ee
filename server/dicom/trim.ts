/**
 * A text without these characters at its end.
 *
 * A loop: the regular expression for it, `/[ \0]+$/`, costs n² on a long run of them that is not at the end, and
 * strangers write these texts.
 */
export function trimEndOf(text: string, characters: string): string {
  let end = text.length
  while (end > 0 && characters.includes(text[end - 1] as string)) end--
  return text.slice(0, end)
}

/** What texts of files are padded with (PS3.5 6.2). */
export const padding = ' \0'
