import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freshDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await freshDatabase()
})

afterAll(async () => {
  await database[Symbol.asyncDispose]()
})

describe('What a search compares', () => {
  test.each([
    ['Doe^Jane', 'doe^jane'],
    ['DOE^JANE^^', 'doe^jane'],
    ['DOE^^^DR', 'doe^^^dr'],
    [' Doe  Smith ^ Jane ', 'doe smith^jane'],
    ['Müller^Zoë', 'muller^zoe'],
    ['NOVÁK^JAN', 'novak^jan'],
    ['Ångström', 'angstrom'],
    ['Yamada^Tarou^^=山田^太郎=やまだ^たろう', 'yamada^tarou=山田^太郎=やまだ^たろう'],
    ['Hong^Gildong=洪^吉洞=홍^길동', 'hong^gildong=洪^吉洞=홍^길동'],
    ['Doe==', 'doe'],
    ['=山田', '=山田'],
    ['ﾔﾏﾀﾞ^ﾀﾛｳ', 'ヤマダ^タロウ'],
    ['Люкceмбypг', 'люкceмбypг'],
    ['^', ''],
    ['d*e^?', 'd*e^?'],
  ])('the name %s is %s', async (name, key) => {
    const [row] = await database.sql`select person_name_key(${name}) as key`
    expect(row?.key).toBe(key)
  })

  test.each([
    ['22', '220000.000000'],
    ['2230', '223000.000000'],
    ['223001', '223001.000000'],
    ['223001.5', '223001.500000'],
    ['223001.123456', '223001.123456'],
    ['22:30', null],
    ['2', null],
    ['', null],
  ])('the time %s is %s', async (time, key) => {
    const [row] = await database.sql`select time_key(${time}) as key`
    expect(row?.key).toBe(key)
  })

  test('what LIKE would take for wildcards is a character of the value', async () => {
    const [row] = await database.sql`
      select ${'a%b_c\\d'} like like_pattern(${'a%b_c\\d'}) as same,
        ${'axb_c\\d'} like like_pattern(${'a%b_c\\d'}) as other,
        ${'a%bxc\\d'} like like_pattern(${'a?b*d'}) as pattern`
    expect(row).toEqual({ same: true, other: false, pattern: true })
  })
})
