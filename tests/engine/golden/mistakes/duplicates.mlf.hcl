training_job "node" "a" {}
training_job "node" "a" {}
variable "v" {
  default = 1
}
variable "v" {}
locals {
  l = 1
}
locals {
  l = 2
}
output "o" {
  value = 1
}
output "o" {
  value = 2
}
