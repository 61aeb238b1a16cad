locals {
  ten      = range(10)
  hundred  = [local.ten, local.ten, local.ten, local.ten, local.ten, local.ten, local.ten, local.ten, local.ten, local.ten]
  thousand = [local.hundred, local.hundred, local.hundred, local.hundred, local.hundred, local.hundred, local.hundred, local.hundred, local.hundred, local.hundred]
  myriad   = [local.thousand, local.thousand, local.thousand, local.thousand, local.thousand, local.thousand, local.thousand, local.thousand, local.thousand, local.thousand]
  lakh     = [local.myriad, local.myriad, local.myriad, local.myriad, local.myriad, local.myriad, local.myriad, local.myriad, local.myriad, local.myriad]
  million  = [local.lakh, local.lakh, local.lakh, local.lakh, local.lakh, local.lakh, local.lakh, local.lakh, local.lakh, local.lakh]
}

output "all" {
  value = local.million
}
