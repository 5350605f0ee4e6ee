import { describe, expect, test } from 'vitest'
import { characterSetOf } from '../../server/dicom/character-sets.ts'

function names(specificCharacterSet: string, latin1: string): string[] {
  const bytes = Buffer.from(latin1, 'latin1')
  return characterSetOf(specificCharacterSet).values(bytes, 0, bytes.length, true)
}

function values(specificCharacterSet: string, latin1: string): string[] {
  const bytes = Buffer.from(latin1, 'latin1')
  return characterSetOf(specificCharacterSet).values(bytes, 0, bytes.length, false)
}

function text(specificCharacterSet: string, latin1: string): string {
  const bytes = Buffer.from(latin1, 'latin1')
  return characterSetOf(specificCharacterSet).text(bytes, 0, bytes.length)
}

const esc = '\x1b'

describe('single-byte character sets (PS3.3 C.12.1.1.2; JS-18)', () => {
  test.each([
    ['ISO_IR 100', 'Buc^J\xe9r\xf4me', 'Buc^Jérôme'],
    ['ISO_IR 101', 'Wa\xb3\xeasa', 'Wałęsa'],
    ['ISO_IR 109', 'a\xa1', 'aĦ'],
    ['ISO_IR 110', '\xbf', 'ŋ'],
    ['ISO_IR 144', '\xbb\xee\xda', 'Люк'],
    ['ISO_IR 127', '\xe2\xc8\xc7\xe6\xea', '\u0642\u0628\u0627\u0646\u064a'],
    ['ISO_IR 126', '\xc4\xe9\xef\xed', 'Διον'],
    ['ISO_IR 138', '\xf9\xf8\xe5\xef', 'שרון'],
    ['ISO_IR 148', '\xdd\xfe', 'İş'],
    ['ISO_IR 203', '\xa4', '€'],
    ['ISO_IR 166', '\xca\xc1', 'สม'],
    ['ISO_IR 13', '\xd4\xcf\xc0\xde^\xc0\xdb\xb3', 'ﾔﾏﾀﾞ^ﾀﾛｳ'],
  ])('%s', (set, bytes, decoded) => {
    expect(names(set, bytes)).toEqual([decoded])
  })

  test('ISO_IR 13 has a yen sign and an overline where ASCII has others, and its 5Ch still separates (JS-19)', () => {
    expect(text('ISO_IR 13', 'a\\b~')).toBe('a¥b‾')
    expect(values('ISO_IR 13', '\xd4\\\xcf')).toEqual(['ﾔ', 'ﾏ'])
  })

  test('common misspellings are known', () => {
    expect(text('ISO-IR 100', '\xe9')).toBe('é')
    expect(text('iso_ir_100 ', '\xe9')).toBe('é')
    expect(text('UTF-8', '\xc3\xa9')).toBe('é')
  })
})

describe('code extensions (PS3.5 6.1.2.5, annexes H, I, J, K)', () => {
  test('Japanese with kanji and kana in JIS X 0208 (H.3.1)', () => {
    const name = `Yamada^Tarou=${esc}$B;3ED${esc}(B^${esc}$BB@O:${esc}(B=${esc}$B$d$^$@${esc}(B^${esc}$B$?$m$&${esc}(B`
    expect(names('\\ISO 2022 IR 87', name)).toEqual(['Yamada^Tarou=山田^太郎=やまだ^たろう'])
  })

  test('Japanese that begins in katakana (H.3.2)', () => {
    const name = `\xd4\xcf\xc0\xde^\xc0\xdb\xb3=${esc}$B;3ED${esc}(J^${esc}$BB@O:${esc}(J=${esc}$B$d$^$@${esc}(J^${esc}$B$?$m$&${esc}(J`
    expect(names('ISO 2022 IR 13\\ISO 2022 IR 87', name)).toEqual([
      'ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう',
    ])
  })

  test('JIS X 0212', () => {
    expect(text('\\ISO 2022 IR 159', `${esc}$(D0!${esc}(B`)).toBe('丂')
  })

  test('Korean in KS X 1001 (I.2)', () => {
    const name = `Hong^Gildong=${esc}$)C\xfb\xf3^${esc}$)C\xd1\xce\xd4\xd7=${esc}$)C\xc8\xab^${esc}$)C\xb1\xe6\xb5\xbf`
    expect(names('\\ISO 2022 IR 149', name)).toEqual(['Hong^Gildong=洪^吉洞=홍^길동'])
  })

  test('Chinese in GB 2312 (K.2)', () => {
    expect(
      names('\\ISO 2022 IR 58', `Zhang^XiaoDong=${esc}$)A\xd5\xc5^${esc}$)A\xd0\xa1\xb6\xab=`),
    ).toEqual(['Zhang^XiaoDong=张^小东='])
  })

  test('several single-byte sets in one value', () => {
    expect(text('ISO 2022 IR 100\\ISO 2022 IR 144', `\xe9${esc}-L\xbb\xee\xda${esc}-A\xe9`)).toBe(
      'éЛюкé',
    )
  })

  test('the first sets come back at a delimiter: ^ and = in a name, a backslash, a line end', () => {
    expect(names('\\ISO 2022 IR 149', `${esc}$)C\xfb\xf3^\xfb\xf3`)).toEqual(['洪^\uFFFD\uFFFD'])
    expect(values('ISO 2022 IR 100\\ISO 2022 IR 144', `${esc}-L\xbb\\\xe9`)).toEqual(['Л', 'é'])
    expect(values('ISO 2022 IR 100\\ISO 2022 IR 144', `${esc}-L\xbb^\xbb`)).toEqual(['Л^Л'])
    expect(text('ISO 2022 IR 100\\ISO 2022 IR 144', `${esc}-L\xbb\r\n\xe9`)).toBe('Л\r\né')
  })

  test('a byte 5Ch inside a kanji separates nothing (JS-19)', () => {
    expect(values('\\ISO 2022 IR 87', `${esc}$B0\\${esc}(B\\x`)).toEqual(['移', 'x'])
  })
})

describe('multi-byte sets without extensions', () => {
  test('UTF-8', () => {
    expect(names('ISO_IR 192', '\xe7\x8e\x8b^\xe5\xb0\x8f\\b')).toEqual(['王^小', 'b'])
  })

  test('GB18030 and GBK, where 5Ch may be half of a character (J.4; JS-19)', () => {
    expect(names('GB18030', 'Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab')).toEqual([
      'Wang^XiaoDong=王^小东',
    ])
    expect(values('GBK', '\x81\\\\b')).toEqual(['乗', 'b'])
  })
})

describe('a text that comes in pieces (JS-18)', () => {
  test.each([
    ['ISO_IR 100', 'J\xe9r\xf4me'],
    ['ISO_IR 13', 'a\\b~\xd4\xcf'],
    ['\\ISO 2022 IR 87', `a${esc}$B;3ED0\\${esc}(Bb${esc}$B;3\r\n;3${esc}`],
    ['\\ISO 2022 IR 159', `${esc}$(D0!${esc}(B${esc}%G`],
    ['ISO 2022 IR 13\\ISO 2022 IR 87', `\xd4\\${esc}$B;3ED${esc}(J\\\xcf`],
    ['\\ISO 2022 IR 149', `${esc}$)C\xfb\xf3a\xd1\xce\xd4`],
    ['ISO 2022 IR 100\\ISO 2022 IR 144', `\xe9${esc}-L\xbb\xee\\\xe9\n${esc}-L\xbb`],
    ['GB18030', 'a\xcd\xf5\x81\\b\x94\x39\xda\x33\x81'],
    ['GBK', '\x81\\\\b'],
  ])('in %s is the same however it is cut', (set, latin1) => {
    const bytes = Buffer.from(latin1, 'latin1')
    for (const isSeparated of [true, false]) {
      const whole = isSeparated ? values(set, latin1).join('\\') : text(set, latin1)
      for (const length of [1, 2, 3, 5, 100]) {
        const decode = characterSetOf(set).pieces(isSeparated)
        let decoded = ''
        for (let at = 0; at < bytes.length; at += length) {
          decoded += decode(bytes.subarray(at, at + length), false)
        }
        expect(decoded + decode(Buffer.alloc(0), true), `${length} bytes`).toBe(whole)
      }
    }
  })

  test.each([
    ['', true],
    ['ISO_IR 6', true],
    ['NO SUCH SET', true],
    ['ISO_IR 192', true],
    ['ISO_IR 100', false],
    ['\\ISO 2022 IR 87', false],
    ['GBK', false],
  ])('"%s" is UTF-8 as it is: %s', (set, isUTF8) => {
    expect(characterSetOf(set).isUTF8).toBe(isUTF8)
  })
})

describe('what cannot be decoded (DV-20)', () => {
  test('becomes U+FFFD', () => {
    expect(text('', 'J\xe9r')).toBe('J\uFFFDr')
    expect(text('ISO_IR 192', 'J\xe9r')).toBe('J\uFFFDr')
    expect(text('NO SUCH SET', 'a\xe9')).toBe('a\uFFFD')
    expect(text('ISO_IR 100', '\x92')).toBe('\uFFFD')
    expect(text('\\ISO 2022 IR 87', `${esc}$B;`)).toBe('\uFFFD')
    expect(text('\\ISO 2022 IR 87', `a${esc}%Gb`)).toBe('a\uFFFD%Gb')
    expect(text('ISO_IR 100', esc)).toBe('\uFFFD')
  })
})
