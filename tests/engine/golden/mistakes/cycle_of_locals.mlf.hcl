locals {
  a = local.b + 1
  b = local.c
  c = local.a
}
training_job "node" "n" {
  value = local.b
}
