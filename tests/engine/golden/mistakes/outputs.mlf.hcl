output "none" {}
output "odd" {
  value   = 1
  secret  = true
  part {}
}
output "div" {
  value = 1 / 0
}
locals {
  inner {}
}
