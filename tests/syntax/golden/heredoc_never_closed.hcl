dataset "loans" {
  rows = 1
  q = <<SQL
  select 1
   SQ
}

after = 2
