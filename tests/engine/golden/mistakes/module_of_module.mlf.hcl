module "outer" {
  source = "./outer"
}
# --- file outer/main.mlf.hcl
module "inner" {
  source = "./inner"
  extra  = 1
}
resouce "x" "y" {}
# --- file outer/inner/main.mlf.hcl
variable "needed" {}
training_job "node" "x" {
  valeu = var.needde
}
