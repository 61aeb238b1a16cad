variable "unset" {}
variable "wrong" {
  type    = number
  default = "many"
}
variable "strange" {
  tipe    = string
  type    = strin
  default = 1
}
variable "rule" {
  default = 5
  validation {
    condition     = var.rule < 3
    error_message = "It must be below 3."
  }
  validation {
    condition = true
  }
  check {
    condition = true
  }
}
variable "secret" {
  default   = "hush"
  sensitive = true
  validation {
    condition     = length(var.secret) > 10
    error_message = "Too short: ${length(var.secret)}."
  }
}
variable "unruly" {
  default = 1
  validation {
    condition     = "no"
    error_message = "Odd."
  }
}
