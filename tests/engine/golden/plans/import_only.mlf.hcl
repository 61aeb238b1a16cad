training_job "node" "kept" {
  value = 1
}
# --- then
import {
  to = deployment.shop
  id = "1.txt"
}
training_job "node" "kept" {
  value = 1
}
deployment "file" "shop" {
  shows = training_job.kept.parity
}
# --- file 1.txt
1
