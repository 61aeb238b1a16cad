dataset "loans" {
  rows = 1
  q = << SQL
  select 1
SQL
}

after = 2
