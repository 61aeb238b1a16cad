import {
  to = training_job.gone
  id = "nowhere.txt"
}
import {
  to = training_job.broken
  id = "broken.txt"
}
import {
  to = gate.g
  id = "verdict"
}
training_job "node" "gone" {
  value = 1
}
training_job "node" "broken" {
  value = 1
}
gate "most" "g" {
  candidate = 1
}
# --- file broken.txt
half
