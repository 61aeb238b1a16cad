dataset "loans" {
  rows = 1
  seed = 1
  rows = 2
}

after = 2
