training_job "node" "a" {
  value = 1
}
# --- then
training_job "node" "a" {
  value = 1
  size  = 9
  note  = "new words"
}
