variable "keys" {
  default   = 2
  sensitive = true
}
training_job "node" "a" {
  count = var.keys
}
training_job "node" "b" {
  for_each = ["x", "y"]
}
training_job "node" "c" {
  count = 3
  size  = "big"
}
