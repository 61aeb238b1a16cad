training_job "node" "a" {
  value = 1
  lifecycle {
    prevent_destroy = true
  }
}
# --- then
training_job "node" "a" {
  value = 1
  size  = 2
  lifecycle {
    prevent_destroy = true
  }
}
