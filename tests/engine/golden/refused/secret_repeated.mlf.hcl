variable "key" {
  default   = "hush"
  sensitive = true
}
training_job "node" "a" {}
training_job "node" "b" {
  for_each = { a = var.key }
  token    = "${each.value} ${training_job.a.parity}"
}
