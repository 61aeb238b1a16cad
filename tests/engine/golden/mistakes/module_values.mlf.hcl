module "typed" {
  source = "./typed"
  rows   = "many"
  empty  = null
}
module "many" {
  source = "./typed"
  count  = 1.5
  rows   = 1
  empty  = 2
}
output "o" {
  value = module.typed.double + module.many.double
}
# --- file typed/main.mlf.hcl
variable "rows" {
  type = number
  validation {
    condition     = var.rows < 10
    error_message = "Fewer than 10 rows, please."
  }
}
variable "empty" {
  type     = number
  nullable = false
}
output "double" {
  value = var.rows * 2
}
