// A child of a benchmark that answers once, and dies of the second question.
let asked = 0
process.on('message', () => {
  asked += 1
  if (asked > 1) process.exit(3)
  process.send?.({ asked })
})
