// Shows only the lines of the table that have what is looked for.
const field = document.querySelector('#find')
document.querySelector('#attribute-search').hidden = false

field.addEventListener('input', () => {
  const wanted = field.value.trim().toLowerCase()
  let count = 0
  for (const row of document.querySelectorAll('#attributes tbody tr')) {
    row.hidden = wanted !== '' && !row.textContent.toLowerCase().includes(wanted)
    if (!row.hidden) count++
  }
  document.querySelector('#found').textContent = wanted === '' ? '' : `${count} found`
})
