module "a" {
  source = "git::./nowhere.git"
}
module "b" {
  source = "git::file:///nowhere/at/all.git//x?ref=v1"
}
# --- steps
# --- run get
# --- run plan
