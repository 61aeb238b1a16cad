training_job "node" "a" {
  value = 1
}
variable "size" {
  default = 1
}
variable "count" {
  default = 1
}
locals {
  where = "here"
}
module "m" {
  source  = "./m"
  version = "~> 1.0"
}
# --- file m/main.mlf.hcl
output "one" {
  value = 1
}
# --- file main_override.mlf.hcl
training_job "node" "a" {
  depends_on = [training_job.a]
  vale       = 2
}
training_job "node" "aa" {}
variable "size" {
  validation {
    condition     = var.size > 0
    error_message = "The size is positive."
  }
}
variable "sise" {}
locals {
  were = "there"
}
provider "toy" {
  alias = "other"
}
check "always" {
  assert {
    condition     = true
    error_message = "It is."
  }
}
moved {
  from = training_job.z
  to   = training_job.a
}
