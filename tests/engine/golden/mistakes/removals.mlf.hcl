training_job "node" "here" {}
removed {
  from = training_job.here
}
removed {
  from = training_job.gone[0]
  lifecycle {
    destroy = "never"
  }
}
removed {
  from = training_job.other
  lifecycle {
    destroy = false
  }
  lifecycle {
    destory = true
  }
}
removed {}
