training_job "node" "here" {}
moved {
  from = training_job.here
  to   = training_job.there
}
moved {
  from = training_job.a
  to   = training_job.a
}
moved {
  from = training_job.b
  to   = gate.b
}
moved {
  from = training_job.c
  to   = module.c
}
moved {
  from = training_job.d
  to   = training_job.here
}
moved {
  from = training_job.d
  to   = training_job.e
}
moved {
  from = upper("x")
  to   = training_jobs.b
}
moved {
  form = training_job.x
  to   = training_job.y
}
