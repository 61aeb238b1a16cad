module "m" {
  source = "./m"
  value  = 1
}
module "n" {
  source = "./n"
}
training_job "node" "a" {
  value = module.m.o
  szie  = module.n.o
}
# --- file m/main.mlf.hcl
module "inner" {
  source = "./inner"
}
output "o" {
  value = 1 +
}
# --- file m/inner/main.mlf.hcl
locals {
  d = )
}
# --- file n/main.mlf.hcl
output "o" {
  value = @
}
