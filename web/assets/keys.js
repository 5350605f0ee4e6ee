// Single keys, outside of fields; switched off in the help, for those whom they disturb (WCAG 2.1.4).
const pages = {
  s: './',
  t: 'transfers',
  p: 'problems',
  c: 'commitments',
  f: 'feed',
  w: 'webhooks',
  u: 'upload',
  h: 'health',
  a: 'audit',
}
const chordMs = 1500
let chordUntil = 0
const isOn = document.querySelector('#keys-on')

if (isOn) {
  isOn.checked = localStorage.getItem('keys') !== 'off'
  isOn.addEventListener('change', () => localStorage.setItem('keys', isOn.checked ? 'on' : 'off'))
}

document.addEventListener('keydown', (event) => {
  if (!isOn?.checked || event.ctrlKey || event.metaKey || event.altKey) return
  if (event.target.closest('input:not([type=checkbox],[type=radio]), select, textarea')) {
    if (event.key === 'Escape') event.target.blur()
    return
  }
  const page = Date.now() < chordUntil ? pageAt(event.key) : undefined
  if (page) location.assign(page.href)
  else if (!act(event.key)) return
  event.preventDefault()
})

/** One that is offered: not everybody may see all of them. */
function pageAt(key) {
  return document.querySelector(`#shell-status nav a[href="${pages[key]}"]`)
}

function act(key) {
  switch (key) {
    case 'g':
      chordUntil = Date.now() + chordMs
      return true
    case '/':
      return focus(document.querySelector('[data-search]'))
    case 'j':
      return move(1)
    case 'k':
      return move(-1)
    case 'p':
      document.querySelector('#live-state')?.click()
      return true
    case '?':
      document.querySelector('#keys')?.togglePopover()
      return true
    case 'Escape': {
      const back = document.querySelector('[data-back]')
      if (document.querySelector(':popover-open') || !back) return false
      location.assign(back.href)
      return true
    }
    default:
      return false
  }
}

function move(step) {
  const links = [...document.querySelectorAll('tr.linked a[data-row]')]
  const at = links.indexOf(document.activeElement)
  return focus(links[at < 0 ? (step > 0 ? 0 : links.length - 1) : at + step])
}

function focus(element) {
  element?.focus()
  element?.scrollIntoView({ block: 'nearest' })
  return Boolean(element)
}
