training_job "node" "a" {
  value = 1
}
deployment "file" "s" {
  shows = training_job.a.parity
}
training_job "node" "b" {
  uses = [training_job.a.parity]
  note = "old"
  size = 1
}
# --- then
training_job "node" "a" {
  value = 3
}
deployment "file" "s" {
  shows = training_job.a.parity
}
training_job "node" "b" {
  uses = [training_job.a.parity]
  note = "new"
  size = 2
}
