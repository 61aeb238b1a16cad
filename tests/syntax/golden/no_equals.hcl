dataset "loans" {
  rows = 1
  seed 1
}

after = 2
