variable "token" {
  type      = string
  sensitive = true
}
training_job "node" "a" {
  token = var.token
}
