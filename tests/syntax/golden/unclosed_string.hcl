dataset "loans" {
  rows = 1
  seed = "abc
  more = 1
}

after = 2
