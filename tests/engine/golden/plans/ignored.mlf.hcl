training_job "node" "a" {
  value = 1
}
# --- then
training_job "node" "a" {
  value = 2
  lifecycle {
    ignore_changes = [value]
  }
}
