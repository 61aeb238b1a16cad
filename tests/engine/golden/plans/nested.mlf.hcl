gate "most" "g" {
  candidate = 1
}
training_job "node" "n" {
  uses = [1, 2, 3]
}
# --- then
gate "most" "g" {
  candidate = 1
  most      = 3
}
training_job "node" "n" {
  uses = [1, 2, 4]
}
