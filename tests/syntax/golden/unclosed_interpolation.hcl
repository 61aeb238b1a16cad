dataset "loans" {
  rows = 1
  a = "x ${var.y"
}

after = 2
