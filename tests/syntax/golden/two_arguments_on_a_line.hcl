dataset "loans" {
  rows = 1
  a = 1 b = 2
}

after = 2
