training_job "node" "first" {
  value = var.nothing
  uses  = [training_job.frist.parity, local.nothing, training_jobs.first.parity]
  note  = each.key
  size  = count.index
}
training_job "node" "second" {
  value = training_job.first.partiy
  uses  = [var, training_job, prior.gate, prior.training_job.third.parity]
}
output "o" {
  value = nowhere.at.all
}
output "provided" {
  value = provider::toy::slugg("A B", "-")
}
output "of_nobody" {
  value = provider::tory::slug("A B", "-")
}
output "refused" {
  value = provider::toy::slug("A B", "--")
}
