dataset "loans" {
  rows = 1
  "a" = 1
}

after = 2
