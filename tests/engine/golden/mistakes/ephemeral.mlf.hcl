variable "token" {
  type      = string
  default   = "hush"
  ephemeral = true
}
locals {
  through = upper(var.token)
}
training_job "node" "a" {
  token = var.token
  note  = local.through
}
module "m" {
  source = "./m"
  token  = var.token
}
output "o" {
  value     = 1
  ephemeral = true
}
output "p" {
  value = var.token
}
# --- file m/main.mlf.hcl
variable "token" {}
