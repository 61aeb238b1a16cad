# --- given rows
# --- given rosw=1
# --- given shape={a=
# --- given many=several
variable "rows" {
  type    = number
  default = 1
}
variable "shape" {
  type = object({ a = number })
}
variable "many" {
  type = number
}
variable "key" {
  type      = number
  sensitive = true
}
# --- file mlform.mlfvars.hcl
key    = "hush"
raws   = 3
block {}
