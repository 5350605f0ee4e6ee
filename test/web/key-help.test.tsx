/** @jsxImportSource hono/jsx */
import { expect, test } from 'vitest'
import { mayAll } from '../../web/may.ts'
import { KeyHelp } from '../../web/parts/key-help.tsx'
import { readable } from './render.ts'

test('the help names the keys that lead to pages which one may see, and no others', () => {
  expect(readable(<KeyHelp may={mayAll} />)).toContain('g h Health g a Audit')
  const ofReader = readable(<KeyHelp may={(route) => route === 'GET /'} />)
  expect(ofReader).toContain('g s Studies ? This help')
})
