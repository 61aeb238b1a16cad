locals {
  a = [1, 2
}
module "m" {
  source = "./m"
}
module "n" {
  source = "./n"
}
# --- file other.mlf.hcl
training_job "node" "b" {
  value = = 3
}
# --- file third.mlf.json
{"locals": {"c": 1,}}
# --- file mlform.mlfvars.hcl
v = "unclosed
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
output "fine" {
  value = 1
}
