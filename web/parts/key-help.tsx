/** @jsxImportSource hono/jsx */

import type { May } from '../may.ts'

/** What `keys.js` listens to; a key that leads to a page has its route. */
const keys: [key: string, meaning: string, route?: string][] = [
  ['/', 'Search'],
  ['j, k', 'Next, previous row'],
  ['Enter', 'Open the row'],
  ['Esc', 'Back to the list'],
  ['p', 'Pause, go on'],
  ['g s', 'Studies', 'GET /'],
  ['g t', 'Transfers', 'GET /transfers'],
  ['g p', 'Problems', 'GET /problems'],
  ['g c', 'Commitments', 'GET /commitments'],
  ['g f', 'Changes (the feed)', 'GET /feed'],
  ['g w', 'Webhooks', 'GET /webhooks'],
  ['g u', 'Upload', 'GET /upload'],
  ['g h', 'Health', 'GET /health'],
  ['g a', 'Audit', 'GET /audit'],
  ['?', 'This help'],
]

export function KeyHelp({ may }: { may: May }) {
  const offered = keys.filter(([, , route]) => route === undefined || may(route))
  return (
    <>
      <button id="keys-button" class="quiet" type="button" popovertarget="keys">
        Keyboard
      </button>
      <div id="keys" popover="auto" role="dialog" aria-labelledby="keys-title">
        <h2 id="keys-title">Keyboard</h2>
        <dl>
          {offered.map(([key, meaning]) => (
            <div>
              <dt>
                <kbd>{key}</kbd>
              </dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
        <label>
          <input id="keys-on" type="checkbox" checked />
          Single keys do this, outside of fields
        </label>
      </div>
    </>
  )
}
