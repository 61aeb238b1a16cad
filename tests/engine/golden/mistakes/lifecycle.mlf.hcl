training_job "node" "a" {
  lifecycle {
    prevent_destory       = true
    create_before_destroy = true
  }
  depends_on = [training_job.b, 3, "training_job.a"]
}
training_job "node" "c" {
  lifecycle {
    ignore_changes  = [valeu]
    prevent_destroy = "yes"
  }
  where {
    at = "home"
  }
  other {}
}
