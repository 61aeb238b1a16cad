training_job "node" "a" {
  valeu = 1
  where = 3
  size  = "big"
}
gate "most" "g" {
  most = 3
}
deployment "file" "d" {
  shows = "three"
  gates = training_job.a
  life  = 1
}
