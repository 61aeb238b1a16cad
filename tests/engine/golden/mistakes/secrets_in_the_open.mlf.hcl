variable "key" {
  default   = "hush"
  sensitive = true
}
training_job "node" "a" {
  note  = var.key
  token = var.key
}
training_job "node" "b" {
  token = "hush"
}
output "key" {
  value = var.key
}
