b {
  q = <<SQL
select ${} from
x = 1 ) {
SQL
}
c = 1 1
