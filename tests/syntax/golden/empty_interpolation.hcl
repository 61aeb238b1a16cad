dataset "loans" {
  rows = 1
  a = "${}"
}

after = 2
