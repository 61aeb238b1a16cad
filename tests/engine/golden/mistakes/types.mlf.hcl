training_job "nod" "a" {}
gate "exotic" "g" {}
dataset "file" "d" {}
