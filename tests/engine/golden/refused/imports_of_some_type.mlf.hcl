# --- provider second tests.engine.world:Second
# --- generate written.mlf.hcl
import {
  to = deployment.site
  id = "there.txt"
}
import {
  to   = deployment.other
  id   = "there.txt"
  type = "flie"
}
import {
  to = dataset.rows
  id = "there.txt"
}
# --- file there.txt
1
