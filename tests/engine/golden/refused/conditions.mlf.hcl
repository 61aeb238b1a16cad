variable "secret" {
  default   = "hush"
  sensitive = true
}
training_job "node" "a" {
  value = 3
}
# --- then
variable "secret" {
  default   = "hush"
  sensitive = true
}
variable "most" {
  default = 1
  validation {
    condition     = var.most > training_job.a.parity
    error_message = "Parity ${training_job.a.parity} is not below ${var.most}."
  }
}
training_job "node" "a" {
  value = 3
  lifecycle {
    precondition {
      condition     = var.most > 5
      error_message = "At most ${var.most} is too few."
    }
    precondition {
      condition     = length(var.secret) > 100
      error_message = "${var.secret} is short."
    }
    postcondition {
      condition     = self.parity == 0
      error_message = "The parity is ${self.parity}."
    }
    precondition {
      condition     = "yes"
      error_message = "Odd."
    }
  }
}
check "health" {
  assert {
    condition     = training_job.a.parity == 0
    error_message = "The parity is ${training_job.a.parity}, not 0."
  }
}
output "o" {
  value = training_job.a.parity
  precondition {
    condition     = var.most > 7
    error_message = "Not shown below 7."
  }
}
output "shown" {
  value = "it is ${var.secret}"
}
