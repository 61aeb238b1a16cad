variable "token" {
  type      = string
  sensitive = true
  default   = "hush-hush"
}

training_job "node" "a" {
  token = "${var.token}-1"
}
