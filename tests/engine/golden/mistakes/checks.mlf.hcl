check "empty" {}
check "c" {
  assert {
    condition = true
  }
  asert {}
}
check "c" {
  assert {
    condition     = var.nothing > 1
    error_message = "x"
  }
}
check "d" {
  value = 1
  assert {
    condition     = self.parity > 1
    error_message = "x"
  }
}
training_job "node" "a" {
  lifecycle {
    replace_triggered_by = "x"
    enabled              = training_job.b.parity > 1
    precondition {
      condition     = self.parity == 1
      error_message = "x"
    }
  }
}
training_job "node" "b" {
  lifecycle {
    enabled = 3
    postcondition {
      error_message = "x"
    }
  }
}
