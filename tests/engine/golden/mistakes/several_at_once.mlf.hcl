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
