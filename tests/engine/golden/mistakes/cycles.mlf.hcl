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
