dataset "loans" {
  rows = 1
  a = "x ${var.y z}"
}

after = 2
