training_job "node" "a" {
  uses = [training_job.a.parity]
}
