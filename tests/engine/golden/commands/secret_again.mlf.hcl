variable "key" {
  type      = string
  sensitive = true
}
dataset "file" "d" {
  path = var.key
}
# --- file d.csv
a,b
1,2
# --- steps
# --- run plan --var=key=d.csv --out=saved.plan
# --- run apply saved.plan
# --- bytes main.mlf.hcl 64617461736574202266696c652220226422207b0a202070617468203d2022642e637376220a7d0a
# --- run apply saved.plan
