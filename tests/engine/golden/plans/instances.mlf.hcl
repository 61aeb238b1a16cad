training_job "node" "a" {
  for_each = { x = 1, y = 2 }
  value    = each.value
}
# --- then
training_job "node" "a" {
  for_each = { y = 2, z = 3 }
  value    = each.value
}
