training_job "node" "many" {
  count = 2
}
training_job "node" "keyed" {
  for_each = { a = 1 }
  value    = each.value
}
training_job "node" "user" {
  uses = [training_job.many.parity, training_job.many[7].parity, training_job.keyed["b"].parity]
}
