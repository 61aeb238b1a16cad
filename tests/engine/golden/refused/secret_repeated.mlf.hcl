variable "keys" {
  default   = { a = "hush" }
  sensitive = true
}
training_job "node" "a" {}
training_job "node" "b" {
  for_each = var.keys
  note     = "${each.value} ${training_job.a.parity}"
}
