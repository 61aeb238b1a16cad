variable "v" {
  type = number
}
training_job "node" "a" {
  value = var.w
  szie  = 2
}
gate "most" "g" {
  candidate = training_job.b.parity
}
output "o" {
  value = gate.g.passed && "maybe"
}
training_job "node" "x" {
  uses = [training_job.y.parity]
}
training_job "node" "y" {
  uses = [training_job.x.parity]
}
