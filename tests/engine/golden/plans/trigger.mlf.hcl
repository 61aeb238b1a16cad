deployment "file" "a" {
  shows = 1
}
# --- then
deployment "file" "a" {
  shows = training_job.n.parity
}
training_job "node" "n" {}
