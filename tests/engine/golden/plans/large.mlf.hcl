training_job "node" "root" {
  value = 1
}
training_job "node" "n1" {
  value = 1
  uses  = [training_job.root.parity]
}
training_job "node" "n2" {
  value = 2
  uses  = [training_job.n1.parity]
}
training_job "node" "n3" {
  value = 3
  uses  = [training_job.n2.parity]
}
training_job "node" "n4" {
  value = 4
  uses  = [training_job.n3.parity]
}
training_job "node" "n5" {
  value = 5
  uses  = [training_job.n4.parity]
}
training_job "node" "n6" {
  value = 6
  uses  = [training_job.root.parity]
}
training_job "node" "n7" {
  value = 7
  uses  = [training_job.n6.parity]
}
training_job "node" "n8" {
  value = 8
  uses  = [training_job.n7.parity]
}
training_job "node" "n9" {
  value = 9
  uses  = [training_job.n8.parity]
}
training_job "node" "n10" {
  value = 10
  uses  = [training_job.n9.parity]
}
training_job "node" "n11" {
  value = 11
  uses  = [training_job.root.parity]
}
training_job "node" "n12" {
  value = 12
  uses  = [training_job.n11.parity]
}
training_job "node" "n13" {
  value = 13
  uses  = [training_job.n12.parity]
}
training_job "node" "n14" {
  value = 14
  uses  = [training_job.n13.parity]
}
training_job "node" "n15" {
  value = 15
  uses  = [training_job.n14.parity]
}
training_job "node" "n16" {
  value = 16
  uses  = [training_job.root.parity]
}
training_job "node" "n17" {
  value = 17
  uses  = [training_job.n16.parity]
}
training_job "node" "n18" {
  value = 18
  uses  = [training_job.n17.parity]
}
training_job "node" "n19" {
  value = 19
  uses  = [training_job.n18.parity]
}
training_job "node" "n20" {
  value = 20
  uses  = [training_job.n19.parity]
}
training_job "node" "n21" {
  value = 21
  uses  = [training_job.root.parity]
}
training_job "node" "n22" {
  value = 22
  uses  = [training_job.n21.parity]
}
training_job "node" "n23" {
  value = 23
  uses  = [training_job.n22.parity]
}
training_job "node" "n24" {
  value = 24
  uses  = [training_job.n23.parity]
}
training_job "node" "n25" {
  value = 25
  uses  = [training_job.n24.parity]
}
# --- then
training_job "node" "root" {
  value = 3
}
training_job "node" "n1" {
  value = 1
  uses  = [training_job.root.parity]
}
training_job "node" "n2" {
  value = 2
  uses  = [training_job.n1.parity]
}
training_job "node" "n3" {
  value = 3
  uses  = [training_job.n2.parity]
}
training_job "node" "n4" {
  value = 4
  uses  = [training_job.n3.parity]
}
training_job "node" "n5" {
  value = 5
  uses  = [training_job.n4.parity]
}
training_job "node" "n6" {
  value = 6
  uses  = [training_job.root.parity]
}
training_job "node" "n7" {
  value = 7
  uses  = [training_job.n6.parity]
}
training_job "node" "n8" {
  value = 8
  uses  = [training_job.n7.parity]
}
training_job "node" "n9" {
  value = 9
  uses  = [training_job.n8.parity]
}
training_job "node" "n10" {
  value = 10
  uses  = [training_job.n9.parity]
}
training_job "node" "n11" {
  value = 11
  uses  = [training_job.root.parity]
}
training_job "node" "n12" {
  value = 12
  uses  = [training_job.n11.parity]
}
training_job "node" "n13" {
  value = 13
  uses  = [training_job.n12.parity]
}
training_job "node" "n14" {
  value = 14
  uses  = [training_job.n13.parity]
}
training_job "node" "n15" {
  value = 15
  uses  = [training_job.n14.parity]
}
training_job "node" "n16" {
  value = 16
  uses  = [training_job.root.parity]
}
training_job "node" "n17" {
  value = 17
  uses  = [training_job.n16.parity]
}
training_job "node" "n18" {
  value = 18
  uses  = [training_job.n17.parity]
}
training_job "node" "n19" {
  value = 19
  uses  = [training_job.n18.parity]
}
training_job "node" "n20" {
  value = 20
  uses  = [training_job.n19.parity]
}
training_job "node" "n21" {
  value = 21
  uses  = [training_job.root.parity]
}
training_job "node" "n22" {
  value = 22
  uses  = [training_job.n21.parity]
}
training_job "node" "n23" {
  value = 23
  uses  = [training_job.n22.parity]
}
training_job "node" "n24" {
  value = 24
  uses  = [training_job.n23.parity]
}
training_job "node" "n25" {
  value = 25
  uses  = [training_job.n24.parity]
}
training_job "node" "late" {
  value = 1
  note  = "new"
}
