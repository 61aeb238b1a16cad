deployment "file" "d" {
  shows = 1
  lifecycle {
    prevent_destroy = true
  }
}
deployment "file" "e" {
  shows = 2
  lifecycle {
    prevent_destroy = true
  }
}
training_job "node" "a" {}
training_job "node" "b" {
  value = 1
}
# --- then
training_job "node" "b" {
  value = 1
}
moved {
  from = training_job.a
  to   = training_job.b
}
