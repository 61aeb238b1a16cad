import {
  to = training_job.old
  id = "there.txt"
}
training_job "node" "old" {
  value = 1
}
# --- file there.txt
1
# --- then
import {
  to = training_job.new
  id = "there.txt"
}
training_job "node" "new" {
  value = 1
}
training_job "node" "old" {
  value = 1
}
# --- file there.txt
1
