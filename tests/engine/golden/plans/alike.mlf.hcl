training_job "node" "many" {
  for_each = { a = 11, b = 12, c = 13, d = 14, e = 15, f = 16 }
  value    = 1
  uses     = [each.value]
}
training_job "node" "some" {
  count = 5
  value = 1
  uses  = [count.index]
}
# --- then
training_job "node" "many" {
  for_each = { a = 11, b = 12, c = 13, d = 14, e = 15 }
  value    = 2
  uses     = [each.value]
}
training_job "node" "some" {
  count = 5
  value = 3
  uses  = [count.index, 7]
}
training_job "node" "new" {
  count = 4
  value = count.index + 100
  note  = "new"
}
