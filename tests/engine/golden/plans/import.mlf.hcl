import {
  to = training_job.same
  id = "there.txt"
}
import {
  for_each = { a = "0.txt", b = "1.txt" }
  to       = deployment.shop[each.key]
  id       = each.value
}
training_job "node" "first" {
  value = 1
}
training_job "node" "same" {
  value = training_job.first.parity
}
deployment "file" "shop" {
  for_each = toset(["a", "b"])
  shows    = 1
}
# --- file there.txt
1
# --- file 0.txt
0
# --- file 1.txt
1
