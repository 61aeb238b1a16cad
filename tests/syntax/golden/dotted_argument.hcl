dataset "loans" {
  rows = 1
  a.b = 1
}

after = 2
