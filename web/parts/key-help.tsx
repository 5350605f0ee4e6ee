/** @jsxImportSource hono/jsx */

/** What `keys.js` listens to. */
const keys: [string, string][] = [
  ['/', 'Search'],
  ['j, k', 'Next, previous row'],
  ['Enter', 'Open the row'],
  ['Esc', 'Back to the list'],
  ['p', 'Pause, go on'],
  ['g s', 'Studies'],
  ['g t', 'Transfers'],
  ['g p', 'Problems'],
  ['g c', 'Commitments'],
  ['g f', 'Changes (the feed)'],
  ['g w', 'Webhooks'],
  ['g u', 'Upload'],
  ['g h', 'Health'],
  ['?', 'This help'],
]

export function KeyHelp() {
  return (
    <>
      <button id="keys-button" class="quiet" type="button" popovertarget="keys">
        Keyboard
      </button>
      <div id="keys" popover="auto" role="dialog" aria-labelledby="keys-title">
        <h2 id="keys-title">Keyboard</h2>
        <dl>
          {keys.map(([key, meaning]) => (
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
