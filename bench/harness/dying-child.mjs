// A test child that answers the first question and exits on the second.
let asked = 0
process.on('message', () => {
  asked += 1
  if (asked > 1) process.exit(3)
  process.send?.({ asked })
})
