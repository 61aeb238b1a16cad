import {
  to = deployment.d
  id = 5
}
import {
  to = module.m
  id = "m"
}
import {
  to = deployment
  id = "x"
}
import {
  to = deployment.e
}
import {
  to = deployment.e
  id = "http://localhost:1"
}
# --- file modules/m/main.mlf.hcl
import {
  to = deployment.inner
  id = "x"
}
