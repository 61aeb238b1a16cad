variable "v" {
  default = 1
}
training_job "node" "a" {
  value = var.v
}
training_job "node" "b" {
  uses = [training_job.a.parity]
}
gate "most" "g" {
  candidate = training_job.b.parity
  most      = 0
}
deployment "file" "d" {
  shows = training_job.b.parity
  gates = [gate.g]
}
# --- then
variable "v" {
  default = 1
}
training_job "node" "a" {
  value = var.v
}
training_job "node" "b" {
  uses = [training_job.a.parity]
}
gate "most" "g" {
  candidate = training_job.b.parity
  most      = 1
}
deployment "file" "d" {
  shows = training_job.b.parity
  gates = [gate.g]
}
