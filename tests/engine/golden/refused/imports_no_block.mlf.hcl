import {
  to = training_job.nine
  id = "there.txt"
}
import {
  for_each = toset(["a"])
  to       = deployment.each[each.key]
  id       = "there.txt"
}
training_job "node" "none" {
  value = 1
}
# --- file there.txt
1
