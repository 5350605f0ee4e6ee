// Buttons that copy the text of another element; without JavaScript they are hidden.
show()
document.addEventListener('htmx:sse:after:message', show)

document.addEventListener('click', async (event) => {
  const button = event.target.closest?.('[data-copy]')
  if (!button) return
  const source = document.getElementById(button.dataset.copy)
  const word = button.textContent
  try {
    await navigator.clipboard.writeText(source.textContent.trim())
    button.textContent = 'Copied'
  } catch {
    // Over plain HTTP there is no clipboard: what is to be copied is selected.
    getSelection()?.selectAllChildren(source)
    button.textContent = 'Press Ctrl+C'
  }
  setTimeout(() => {
    button.textContent = word
  }, 2000)
})

function show() {
  for (const button of document.querySelectorAll('[data-copy]')) button.hidden = false
}
