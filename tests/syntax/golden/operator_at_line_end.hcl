dataset "loans" {
  rows = 1
  a = 1 +
    2
}

after = 2
