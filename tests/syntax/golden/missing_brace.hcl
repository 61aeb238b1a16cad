dataset "loans" {
  rows = 1

training_job "risk" {
  data = dataset.loans
}
