dataset "loans" {
  rows = 1
  a = (1 + 2
  b = 3
}

after = 2
