training_job "node" "a" {
  uses = [local.through]
}
training_job "node" "b" {
  uses = [training_job.c.parity]
}
training_job "node" "c" {
  uses = [training_job.a.parity]
}
locals {
  through = training_job.b.parity
}
training_job "node" "d" {
  uses = [training_job.e.parity]
}
training_job "node" "e" {
  depends_on = [training_job.d]
}
training_job "node" "waits_for_a_cycle" {
  depends_on = [training_job.d]
}
