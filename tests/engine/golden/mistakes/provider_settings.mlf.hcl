provider "toy" {
  greting = 3
}
training_job "node" "a" {}
