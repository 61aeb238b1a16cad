dataset "loans" {
  rows = 1
  a = 'x'
}

after = 2
