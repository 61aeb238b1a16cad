dataset "loans" {
  rows = 1
  cols = ["a" "b"]
}

after = 2
