variable "command" {
  type    = list(string)
  default = ["false"]
}
mlform {
  encryption {
    key_command = var.command
  }
}
dataset "file" "d" {
  path = "d.csv"
}
# --- file d.csv
a,b
1,2
# --- steps
# --- run apply --auto-approve
# --- run apply --auto-approve --var='command=["no-such-program"]'
# --- run apply --auto-approve --var='command=["echo","short"]'
