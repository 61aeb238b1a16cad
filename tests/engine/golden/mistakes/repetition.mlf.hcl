variable "many" {
  default = 1.5
}
training_job "node" "half" {
  count = var.many
}
training_job "node" "minus" {
  count = -1
}
training_job "node" "both" {
  count    = 1
  for_each = { a = 1 }
}
training_job "node" "unknown" {
  count = training_job.half[0].parity
}
training_job "node" "numbers" {
  for_each = [1, 2]
}
training_job "node" "late" {
  for_each = toset([training_job.half.thing])
}
training_job "node" "nothing" {
  count = null
}
